// Builds and runs the tests of the C++ core (test/native, GoogleTest) under AddressSanitizer and UBSan, without Node.
// Further arguments go to GoogleTest, for example --gtest_filter='ThreadPool.*'. FLES_SANITIZE chooses other sanitizers
// ("thread"), or none when it is empty.
import { buildNativeTests, requireCompiler, run, SANITIZED } from './tools.mjs';

const sanitize = process.env.FLES_SANITIZE ?? 'address,undefined';
const folder = `build-native${sanitize === 'address,undefined' ? '' : `-${sanitize || 'plain'}`}`;

requireCompiler();
const program = buildNativeTests(folder, ...SANITIZED, `-DFLES_SANITIZE=${sanitize}`);
process.exit(run(program, ['--gtest_brief=1', ...process.argv.slice(2)]) ?? 1);
