// Cross-compiles the C++ core with its tests for Arm and runs them under QEMU's user-mode emulation: on a processor with
// every level of cpp/cpu/levels.txt, then on the oldest, which must choose the portable one. Further arguments go to
// GoogleTest.
import { levelsOf, prepare } from './emulation.mjs';
import { fail, requireTool, run } from './tools.mjs';

const compiler = requireTool('aarch64-g++', ['aarch64-linux-gnu-g++'], 'cross-compiles the tests');
const qemu = requireTool('qemu-aarch64', ['qemu-aarch64-static', 'qemu-aarch64'], 'runs programs for Arm');
const target = ['-DCMAKE_SYSTEM_NAME=Linux', '-DCMAKE_SYSTEM_PROCESSOR=aarch64', `-DCMAKE_CXX_COMPILER=${compiler}`];
const { program, records } = prepare('build-arm', ...target);

const all = levelsOf('aarch64');
const processors = { max: all, 'neoverse-n1': ['portable', 'neon_dot'], 'cortex-a53': ['portable'] };
let failed = 0;
for (const [processor, levels] of Object.entries(processors)) {
  console.log(`levels on ${processor}: ${levels.join(', ')}`);
  const env = { ...process.env, FLES_EXPECTED_LEVELS: levels.join(','), FLES_OP_RECORDS: records };
  const args = ['-cpu', processor, program, '--gtest_brief=1', ...process.argv.slice(2)];
  if (run(qemu, args, { env }) !== 0) failed++;
}
if (failed > 0) fail(`ERR_TEST tests fail on ${failed} of ${Object.keys(processors).length} processors`);
