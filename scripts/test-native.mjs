// Builds and runs the tests of the C++ core (test/native, GoogleTest) under AddressSanitizer and UBSan, without Node, and
// with them what test/ops runs and expects, at every level of the processor. Further arguments go to GoogleTest, for
// example --gtest_filter='ThreadPool.*'. FLES_SANITIZE chooses other sanitizers ("thread"), or none when it is empty.
import { recordOps } from './emulation.mjs';
import { buildNativeTests, requireCompiler, run, SANITIZED } from './tools.mjs';

const sanitize = process.env.FLES_SANITIZE ?? 'address,undefined';
const folder = `build-native${sanitize === 'address,undefined' ? '' : `-${sanitize || 'plain'}`}`;

requireCompiler();
const program = buildNativeTests(folder, ...SANITIZED, `-DFLES_SANITIZE=${sanitize}`);
const args = process.argv.slice(2);
// Recording takes a while: not for a part of the tests that does without.
const recorded = !args.some((arg) => arg.startsWith('--gtest_filter=') && !arg.includes('RecordedOps'));
const env = { ...process.env, ...(recorded && { FLES_OP_RECORDS: recordOps(`${folder}/ops`) }) };
process.exit(run(program, ['--gtest_brief=1', ...args], { env }) ?? 1);
