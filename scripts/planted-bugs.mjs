// Checks the checker: every bug of test/cuda/planted_bugs.cu must be seen by the emulator of CUDA (cuda/emulate) or by
// the sanitizers that the emulated kernels are compiled with, and the kernels without a bug must be clean. Prints who
// saw what; ends with 1 when something is missed. An argument is a part of the names of the bugs to run.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { emulatedBuilds, finished, forEach, modified } from './testing.mjs';
import { fail, root } from './tools.mjs';

const RANDOM = 5; // seeds
const LAZY = 10;
const LIMIT_MS = 120_000; // of a run; the longest takes less than a second
const PROGRAM = 'test/cuda/planted_bugs.cu';
const FLAGS = [
  '-std=c++20',
  '-g',
  '-O1',
  '-Wall',
  '-Wextra',
  '-Wno-unknown-pragmas',
  '-fno-strict-aliasing',
  '-pthread',
];

const filesIn = (folder) => readdirSync(join(root, folder)).map((name) => join(folder, name));

/** Compiles and links; the program, relative to the root. */
async function build({ name, compiler, kernels, engine }) {
  const folder = `build-cuda/planted-bugs/${name}`;
  const program = join(folder, 'planted_bugs');
  const inputs = [
    ...filesIn('cuda').filter((path) => path.endsWith('.h')),
    ...filesIn('cuda/emulate'),
    ...filesIn('test/cuda').filter((path) => /planted/.test(path)),
  ];
  if (modified(program) > Math.max(...inputs.map(modified))) return program;
  mkdirSync(join(root, folder), { recursive: true });
  const sources = readFileSync(join(root, 'cuda/emulate/sources.txt'), 'utf8').split('\n').filter(Boolean);
  const objects = [];
  await forEach([PROGRAM, ...sources], async (source) => {
    const object = join(folder, `${basename(source)}.o`);
    objects.push(object);
    const flags = [...FLAGS, ...(source === PROGRAM ? kernels : engine), '-DFLES_CUDA_EMULATED=1', '-Icuda', '-Icpp'];
    const output = await finished(compiler, [...flags, '-x', 'c++', '-c', source, '-o', object]);
    if (output.status !== 0) fail(`ERR_BUILD ${source} did not compile:\n${output.text}`);
  });
  const output = await finished(compiler, [...FLAGS, ...kernels, ...objects, '-o', program]);
  if (output.status !== 0) fail(`ERR_BUILD ${program} did not link:\n${output.text}`);
  return program;
}

/** What a run came to, in a word; '-' for nothing. A crash is not an answer. */
function verdict({ status, text, stdout }) {
  const last = stdout.trimEnd().split('\n').at(-1);
  if (text.includes('ThreadSanitizer: data race')) return 'race';
  if (/ERROR: ThreadSanitizer/.test(text)) return 'fault';
  if (text.includes('ERROR: AddressSanitizer')) return 'address';
  if (text.includes('runtime error: ')) return 'undefined';
  if (status !== 0) return 'crash';
  if (last === 'nothing') return '-';
  return last === 'wrong numbers' ? 'numbers' : /^error cuda/.test(last) ? 'error' : 'crash';
}

const started = performance.now();
const programs = {};
for (const one of emulatedBuilds()) programs[one.name] = await build(one);

const range = (count) => Array.from({ length: count }, (_, i) => i + 1);
const schedule = (choice) => ({ program: programs.plain, variables: { FLES_EMULATE_SCHEDULE: choice } });
/** The columns of the table: the runs of each. */
const COLUMNS = {
  forward: [schedule('forward')],
  reverse: [schedule('reverse')],
  random: range(RANDOM).map((seed) => schedule(`random:${seed}`)),
  lazy: range(LAZY).map((seed) => ({ program: programs.plain, variables: { FLES_EMULATE_STREAMS: `lazy:${seed}` } })),
  address: [{ program: programs.address, variables: {} }],
  ...(programs.thread === undefined ? {} : { thread: [{ program: programs.thread, variables: {} }] }),
};
const PARTS = {
  schedules: ['forward', 'reverse', 'random'],
  streams: ['lazy'],
  address: ['address'],
  thread: ['thread'],
};

/** What must have seen a bug and has not. */
function missed({ seenBy, verdicts }) {
  const wrong = Object.keys(verdicts).filter((column) => verdicts[column].includes('crash'));
  if (wrong.length > 0) return wrong.map((column) => `crash: ${column}`);
  const all = Object.entries(verdicts);
  if (seenBy.length === 0) return all.filter(([, seen]) => seen.some((word) => word !== '-')).map(([column]) => column);
  return seenBy.flatMap((part) => {
    if (part === 'always') return all.filter(([, seen]) => seen.includes('-')).map(([column]) => column);
    const columns = PARTS[part].filter((column) => column in verdicts);
    const seen = columns.flatMap((column) => verdicts[column]);
    return columns.length > 0 && seen.every((word) => word === '-') ? [part] : [];
  });
}

const listed = spawnSync(join(root, programs.plain), { encoding: 'utf8' }).stdout.trimEnd().split('\n');
const bugs = listed
  .map((line) => line.split(' ').filter(Boolean))
  .map(([name, ...seenBy]) => ({ name, seenBy, verdicts: {} }))
  .filter(({ name }) => name.includes(process.argv[2] ?? ''));
if (bugs.length === 0) fail(`ERR_ARGUMENT no bug has "${process.argv[2]}" in its name; the names are in ${PROGRAM}`);
const runs = bugs.flatMap((bug) =>
  Object.entries(COLUMNS).flatMap(([column, all]) => all.map((one, place) => ({ bug, column, place, ...one }))),
);
await forEach(runs, async ({ bug, column, place, program, variables }) => {
  bug.verdicts[column] ??= [];
  bug.verdicts[column][place] = verdict(
    await finished(join(root, program), [bug.name], { variables, limit: LIMIT_MS }),
  );
});

/** One word, or how many of several runs saw something. */
function cell(words) {
  return words.length === 1 ? words[0] : `${words.filter((word) => word !== '-').length}/${words.length}`;
}
const row = (name, cells) => [name.padEnd(31), ...cells.map((text) => text.padEnd(9))].join(' ').trimEnd();
const columns = Object.keys(COLUMNS);
console.log(row('bug', columns));
let failures = 0;
for (const bug of bugs) {
  const what = missed(bug);
  failures += what.length > 0 ? 1 : 0;
  const note = what.length === 0 ? '' : bug.seenBy.length === 0 ? `NOT CLEAN: ${what}` : `MISSED: ${what}`;
  console.log(row(bug.name, [...columns.map((column) => cell(bug.verdicts[column])), note]));
}
const seconds = ((performance.now() - started) / 1000).toFixed(0);
console.log(`${bugs.length - failures} as expected, ${failures} not, in ${seconds} s`);
process.exit(failures > 0 ? 1 : 0);
