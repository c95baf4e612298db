// Builds and runs the tests of the C++ core (test/native, GoogleTest) under AddressSanitizer and UBSan, without Node.
// Further arguments go to GoogleTest, for example --gtest_filter='ThreadPool.*'. FLES_SANITIZE chooses other sanitizers
// ("thread"), or none when it is empty.
import { availableParallelism } from 'node:os';
import { fail, requireCompiler, root, run } from './tools.mjs';

const sanitize = process.env.FLES_SANITIZE ?? 'address,undefined';
const folder = `build-native${sanitize === 'address,undefined' ? '' : `-${sanitize || 'plain'}`}`;

requireCompiler();
const configure = ['-S', root, '-B', folder, '--log-level=WARNING', '-DFLES_NATIVE_TESTS=ON'];
// -O2 would take six times as long to compile the kernels under sanitizers, and shows nothing more.
const flags = ['-DCMAKE_BUILD_TYPE=Debug', '-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g -D_GLIBCXX_ASSERTIONS'];
if (run('cmake', [...configure, ...flags, `-DFLES_SANITIZE=${sanitize}`]) !== 0) process.exit(1);
const build = ['--build', folder, '--target', 'fles_tests', '--parallel', String(availableParallelism())];
if (run('cmake', build) !== 0) fail('ERR_BUILD the native tests did not compile; the messages above say why');
process.exit(run(`${folder}/fles_tests`, ['--gtest_brief=1', ...process.argv.slice(2)]) ?? 1);
