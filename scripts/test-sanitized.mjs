// Runs encoder and trainer as wholes (test/native/device_test.cpp) under sanitizers, without Node: on the CPU backend
// under ThreadSanitizer; on the emulated CUDA backend under AddressSanitizer with UBSan and under ThreadSanitizer, with
// threads in several orders and lazy streams. Then it plants the bugs of scripts/sanitized/bugs.mjs, one at a time, each
// of which must be seen. Prints what was run and for how long; ends with 1 when a run without a bug fails or a bug is
// missed. An argument is a part of the names of the bugs to plant.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BUGS, placesOf } from './sanitized/bugs.mjs';
import { finished, forEach, threadCompiler } from './testing.mjs';
import { buildTarget, fail, missing, requireCompiler, root, SANITIZED } from './tools.mjs';

const LIMIT_MS = 900_000; // of a run; the longest took more than 300 s on a machine with other work
const FOLDER = 'build-sanitized';

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** How every source of a build folder is compiled, from CMake's compile_commands.json. */
function commandsIn(folder) {
  const commands = JSON.parse(readFileSync(join(root, folder, 'compile_commands.json'), 'utf8'));
  return commands.map(({ directory, command, file }) => {
    const [, compile, object] = / *(.*) -o (.*) -c /s.exec(command);
    return { directory, compile, file, object: join(directory, object) };
  });
}

/** Builds program and library for a sanitizer. */
function build(name, sanitize, folder, env) {
  const start = performance.now();
  const options = [...SANITIZED, `-DFLES_SANITIZE=${sanitize}`];
  const cuda = `${FOLDER}/cuda-${name}`;
  buildTarget('.', folder, 'fles_device_tests', ['-DFLES_NATIVE_TESTS=ON', ...options], env);
  buildTarget('cuda', cuda, 'fles_cuda', ['-DFLES_CUDA_EMULATED=ON', ...options], env);
  console.log(`built for ${sanitize} in ${seconds(start)}`);
  const [, compiler] = /^CMAKE_CXX_COMPILER:\w+=(.*)$/m.exec(
    readFileSync(join(root, folder, 'CMakeCache.txt'), 'utf8'),
  );
  return {
    name,
    folder,
    link: `${compiler} -fsanitize=${sanitize} -pthread`,
    commands: { cpp: commandsIn(folder), cuda: commandsIn(cuda) },
    program: join(root, folder, 'fles_device_tests'),
    library: join(root, cuda, 'fles-cuda-emulated.so'),
  };
}

async function shell(command, directory) {
  const { status, text } = await finished('/bin/sh', ['-c', command], { cwd: directory, limit: LIMIT_MS });
  if (status !== 0) fail(`ERR_BUILD this command, which compiles or links a planted bug, failed:\n${command}\n${text}`);
}

/** Ends here, before anything is built, where the sources no longer have the text of a bug. */
function requirePlaces(bugs) {
  for (const bug of bugs) {
    const places = placesOf(bug, readFileSync(join(root, bug.file), 'utf8'));
    if (places === 1) continue;
    fail(
      `ERR_BUG_PLACE ${bug.file} has ${places} places for the bug "${bug.name}", expected 1; change the text in ` +
        `scripts/sanitized/bugs.mjs to what is there now:\n${bug.find}`,
    );
  }
}

/** A build with a bug in one of its sources: that one is compiled again, the rest is linked as it is. */
async function planted(bug, whole) {
  const text = readFileSync(join(root, bug.file), 'utf8');
  const folder = join(root, FOLDER, 'bugs', `${bug.name.replaceAll(' ', '-')}-${whole.name}`);
  const copy = join(folder, basename(bug.file));
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    copy,
    text.replace(bug.find, () => bug.put),
  );

  const [room] = bug.file.split('/');
  const { directory, compile, object } = whole.commands[room].find(({ file }) => file === join(root, bug.file));
  await shell(`${compile} -o '${copy}.o' -c '${copy}'`, directory);
  if (room === 'cuda') {
    const library = join(folder, 'fles-cuda-emulated.so');
    const objects = whole.commands.cuda.map((one) => (one.object === object ? `${copy}.o` : one.object));
    await shell(`${whole.link} -shared -Wl,-z,nodelete -o '${library}' '${objects.join("' '")}'`, directory);
    return { ...whole, library };
  }
  // The object comes before the archive, whose own object is then not taken.
  const program = join(folder, 'fles_device_tests');
  const tests = whole.commands.cpp.find((one) => one.object.includes('fles_device_tests.dir')).object;
  const archive = join(root, whole.folder, 'libfles_core.a');
  const libraries = '-lgtest_main -lgtest -ldl';
  await shell(`${whole.link} -o '${program}' '${tests}' '${copy}.o' '${archive}' ${libraries}`, directory);
  return { ...whole, program };
}

/** Runs tests in one way; what came of it: '-' for nothing. A crash is no answer, nor is what was too late. */
async function outcome(one, { device, variables }, tests = '*') {
  const own = {
    FLES_TEST_DEVICE: device,
    FLES_CUDA_LIBRARY: one.library,
    FLES_TF32: '0',
    TSAN_OPTIONS: 'halt_on_error=1',
    ...variables,
  };
  const { status, late, text } = await finished(one.program, ['--gtest_brief=1', `--gtest_filter=${tests}`], {
    variables: own,
    limit: LIMIT_MS,
  });
  const seen = /ThreadSanitizer: (data race|heap-use-after-free)/.test(text)
    ? 'race'
    : text.includes('ERROR: AddressSanitizer')
      ? 'address'
      : text.includes('runtime error: ')
        ? 'undefined'
        : text.includes('[  FAILED  ]')
          ? 'wrong'
          : status === 0
            ? '-'
            : late
              ? 'late'
              : 'crash';
  return { seen, text };
}

const cpu = () => ({
  build: 'thread',
  device: 'cpu',
  // Vectors of more than 16 bytes, which the other levels use, are not seen by ThreadSanitizer.
  variables: { FLES_CPU: 'portable', FLES_NUM_THREADS: '4' },
  name: 'cpu, thread',
});
const cuda = (build, schedule = 'forward', streams = 'eager') => ({
  build,
  device: 'cuda',
  variables: { FLES_EMULATE_SCHEDULE: schedule, FLES_EMULATE_STREAMS: streams },
  name: `cuda, ${build}, ${schedule}, ${streams}`,
});
// Emulated threads under ThreadSanitizer are fibers that it has to make: training takes longer than anyone waits.
const encoding = (way) => ({ ...way, tests: '*EncodesLikeTheCpu', name: `${way.name}, encoding` });
const CLEAN = [
  cpu(),
  encoding(cuda('thread')),
  encoding(cuda('thread', 'random:1', 'lazy:1')),
  cuda('address'),
  cuda('address', 'reverse', 'lazy:2'),
  cuda('address', 'random:3', 'lazy:3'),
  cuda('address', 'random:4', 'lazy:4'),
];
/** How bugs are looked for: one of the ways must come to one of the words. Threads of the pool meet by chance. */
const SEEDS = [1, 2, 3];
const MEANS = {
  // What came too early or too late may be numbers, or places in memory.
  lazy: { sees: ['wrong', 'address'], ways: SEEDS.map((seed) => cuda('address', 'forward', `lazy:${seed}`)) },
  random: { sees: ['wrong'], ways: SEEDS.map((seed) => cuda('address', `random:${seed}`)) },
  address: { sees: ['address'], ways: [cuda('address')] },
  'race on cuda': { sees: ['race'], ways: [cuda('thread')] },
  'race on cpu': { sees: ['race'], ways: Array.from({ length: 20 }, cpu) },
};

const bugs = BUGS.filter(({ name }) => name.includes(process.argv[2] ?? ''));
if (bugs.length === 0)
  fail(`ERR_ARGUMENT no bug has "${process.argv[2]}" in its name; scripts/sanitized/bugs.mjs has them`);
requirePlaces(bugs);
const started = performance.now();
requireCompiler();
const clang =
  threadCompiler() ?? missing('clang', 'no clang++-19 or clang++ was found that links with ThreadSanitizer');
const builds = {
  address: build('address', 'address,undefined', 'build-native', process.env),
  thread: build('thread', 'thread', `${FOLDER}/thread`, { ...process.env, CXX: clang }),
};
let failures = 0;

function report(name, words, ok, since) {
  if (!ok) failures++;
  console.log(`${name.padEnd(72)} ${words.padEnd(18)} ${seconds(since)}${ok ? '' : ' FAILED'}`);
}

await forEach(CLEAN, async (way) => {
  const start = performance.now();
  const { seen, text } = await outcome(builds[way.build], way, way.tests);
  if (seen !== '-') console.log(text);
  report(way.name, seen, seen === '-', start);
});

const searches = bugs.flatMap((bug) => bug.seenBy.map((means) => ({ bug, means })));
await forEach(searches, async ({ bug, means }) => {
  const start = performance.now();
  const { sees, ways } = MEANS[means];
  const one = await planted(bug, builds[ways[0].build]);
  const words = [];
  for (const way of ways) {
    words.push((await outcome(one, way, bug.tests)).seen);
    if (sees.includes(words.at(-1))) break;
  }
  report(`${means}: ${bug.name}`, words.join(' '), sees.includes(words.at(-1)), start);
});
console.log(
  `${CLEAN.length} runs, ${searches.length} searches for planted bugs, ${failures} failed, in ${seconds(started)}`,
);
process.exit(failures > 0 ? 1 : 0);
