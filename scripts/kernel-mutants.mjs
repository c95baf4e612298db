// Tests the tests of the CUDA kernels: changes one comparison or deletes one barrier (scripts/cuda/mutants.mjs says
// which), compiles the kernel for the emulator, and expects a check to fail. Those that no check sees must have a
// reason in test/cuda/surviving-mutants.json.
//
//   npm run test:mutants                       all of them; what a run before has found is not run again
//   npm run test:mutants -- attention.cu:62    those whose place begins so
//   npm run test:mutants -- --list             prints them
//   npm run test:mutants -- --json FILE        writes what became of each
//
// Ends with 1 when fewer than 95 % are killed, when a survivor has no reason, or when a reason has no survivor.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FOLDER, mutantLibrary, prepare, remove } from './cuda/emulations.mjs';
import { compiledText, mutantsOf, opsOf, sources } from './cuda/mutants.mjs';
import { finished, forEach } from './testing.mjs';
import { fail, root } from './tools.mjs';

const LEAST = 0.95; // of the mutants are killed
const LIMIT_MS = 60_000; // of a run, beyond four times what it takes without a change
const RANDOM = 3; // seeds
const REASONS = 'test/cuda/surviving-mutants.json';
const RESULTS = `${FOLDER}/results.jsonl`;

const options = { list: false, json: null, filter: '' };
for (let i = 2; i < process.argv.length; ++i) {
  if (process.argv[i] === '--list') options.list = true;
  else if (process.argv[i] === '--json' && i + 1 < process.argv.length) options.json = process.argv[++i];
  else if (process.argv[i].startsWith('-'))
    fail(`ERR_USAGE unknown option ${process.argv[i]}; see the head of this script`);
  else options.filter = process.argv[i];
}

const place = ({ file, line }) => `${file}:${line}`;
const all = sources.flatMap(mutantsOf);
const chosen = all.filter((mutant) => place(mutant).startsWith(options.filter));
if (chosen.length === 0) fail(`ERR_ARGUMENT no mutant is at "${options.filter}"; --list has their places`);
if (options.list) {
  for (const mutant of chosen) console.log(`${place(mutant).padEnd(27)} ${mutant.was}  ->  ${mutant.becomes}`);
  console.log(`${chosen.length} mutants`);
  process.exit(0);
}

const table = readFileSync(join(root, 'cpp/ops/ops.def'), 'utf8');
const names = [...table.matchAll(/^FLES_OP\((\w+),/gm)].map(([, name]) => name);
const builds = await prepare();

// One thread of the core, which is not instrumented and would be taken to race with what is.
const EXACT = { FLES_TF32: '0', FLES_NUM_THREADS: '1' };
/** A stage: its runs of one op with a library of its build. */
const check = (variables = [{}], build = builds.plain) => ({
  build,
  runs: (op, library) => variables.map((one) => [build.check, [library, '--op', op], { ...EXACT, ...one }]),
});
const random = Array.from({ length: RANDOM }, (_, i) => ({ FLES_EMULATE_SCHEDULE: `random:${i + 1}` }));
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '-t', 'cuda', '--bail=1', '--reporter=dot'];
/** What may see a mutant, the fastest first. */
const STAGES = {
  forward: check(),
  reverse: check([{ FLES_EMULATE_SCHEDULE: 'reverse' }]),
  random: check(random),
  lazy: check([{ FLES_EMULATE_STREAMS: 'lazy:1' }]),
  tf32: check([{ FLES_TF32: '1' }]),
  address: check([{}], builds.address),
  ...(builds.thread === undefined ? {} : { thread: check([{}], builds.thread) }),
  tests: {
    build: builds.plain,
    runs: (op, library) => [
      [
        process.execPath,
        [...vitest, `test/ops/${op}.test.ts`],
        { FLES_CUDA_LIBRARY: join(root, library), FLES_TF32: '0' },
      ],
    ],
  },
};

/** What a run came to, in a word; null when it saw nothing. */
function verdict({ status, late, text }) {
  if (late) return 'hang';
  if (text.includes('ThreadSanitizer: data race')) return 'race';
  if (/ERROR: (Address|Thread)Sanitizer/.test(text)) return 'address';
  if (text.includes('runtime error: ')) return 'undefined';
  if (status === 0) return null;
  if (text.includes('ERR_CUDA')) return 'error';
  return status === null ? 'crash' : 'numbers';
}

const usual = new Map();
/** Milliseconds that an op takes in a stage without a change; ends the process when it fails. */
function withoutChange(stage, op) {
  const key = `${stage} ${op}`;
  const measure = async () => {
    let longest = 0;
    for (const [command, args, variables] of STAGES[stage].runs(op, STAGES[stage].build.library)) {
      const result = await finished(command, args, { variables });
      const seen = verdict(result);
      if (seen !== null)
        fail(`ERR_TEST ${op} fails without a change (${stage}: ${seen}); make it pass first:\n${result.text}`);
      longest = Math.max(longest, result.ms);
    }
    return longest;
  };
  if (!usual.has(key)) usual.set(key, measure());
  return usual.get(key);
}

/** Runs the stages on a mutant until one sees it. */
async function tried(mutant, folder) {
  const libraries = {};
  const ops = opsOf(mutant.file, names);
  for (const [stage, { build, runs }] of Object.entries(STAGES)) {
    libraries[build.name] ??= (await mutantLibrary(build, mutant, folder)) ?? '';
    if (libraries[build.name] === '') return { result: 'invalid' };
    for (const op of ops) {
      const limit = LIMIT_MS + 4 * (await withoutChange(stage, op));
      for (const [command, args, variables] of runs(op, libraries[build.name])) {
        const seen = verdict(await finished(command, args, { variables, limit }));
        if (seen !== null) return { result: 'killed', by: stage, seen, op };
      }
    }
  }
  return { result: 'survived' };
}

const hashOf = (...parts) => createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16);
const read = (path) => readFileSync(join(root, path), 'utf8');
/** What a mutant is, and what it was tested with. */
const keyOf = (mutant) => hashOf(mutant.file, mutant.changed, compiledText(mutant.file));
function testsOf({ file }) {
  const ops = opsOf(file, names).flatMap((op) => [`test/ops/${op}.cases.ts`, `test/ops/${op}.test.ts`]);
  const emulator = readdirSync(join(root, 'cuda/emulate')).map((name) => `cuda/emulate/${name}`);
  const shared = ['cuda/check/main.cpp', 'cuda/check/arguments.h', 'test/support/native-ops.ts'];
  return hashOf(...[...shared, ...emulator, ...ops].map(read));
}
const holds = (mutant, found) => found && (found.result !== 'survived' || found.tests === testsOf(mutant));

const known = new Map();
if (existsSync(join(root, RESULTS))) {
  for (const line of read(RESULTS).trim().split('\n')) known.set(JSON.parse(line).key, JSON.parse(line));
}
const started = performance.now();
const waiting = chosen.filter((mutant) => !holds(mutant, known.get(keyOf(mutant))));
waiting.sort((a, b) => (a.kind === '<') - (b.kind === '<')); // barriers and `>=` first
let done = 0;
await forEach(waiting, async (mutant) => {
  const key = keyOf(mutant);
  const folder = `${FOLDER}/${key}`;
  const begun = performance.now();
  const found = {
    key,
    ...(await tried(mutant, folder)),
    tests: testsOf(mutant),
    seconds: Math.round((performance.now() - begun) / 1000),
  };
  remove(folder);
  known.set(key, found);
  appendFileSync(join(root, RESULTS), `${JSON.stringify(found)}\n`);
  const { result, by = '', seen = '', op = '', seconds } = found;
  console.log(
    `${++done}/${waiting.length} ${place(mutant)} ${mutant.becomes}: ${result} ${by} ${seen} ${op} ${seconds} s`,
  );
});

const results = chosen.map(({ changed, ...mutant }) => {
  const { key, tests: _, ...found } = known.get(keyOf({ changed, ...mutant }));
  return { ...mutant, ...found };
});
if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);

const same = (a, b) => ['file', 'was', 'becomes'].every((key) => a[key] === b[key]) && (a.nth ?? 1) === (b.nth ?? 1);
const reasons = JSON.parse(read(REASONS));
const killed = results.filter(({ result }) => result === 'killed');
const survivors = results.filter(({ result }) => result === 'survived');
const explained = survivors.filter((mutant) => reasons.some((reason) => same(reason, mutant)));
const unexplained = survivors.filter((mutant) => !explained.includes(mutant));
const stale = reasons.filter(
  (reason) => !all.some((mutant) => same(reason, mutant)) || killed.some((mutant) => same(reason, mutant)),
);

const stages = Object.keys(STAGES);
const row = (name, cells) => [name.padEnd(27), ...cells.map((cell) => String(cell || '-').padStart(9))].join('');
console.log(row('', ['mutants', 'killed', 'invalid', 'survive', ...stages]));
const line = (name, some) => {
  const count = (test) => some.filter(test).length;
  const by = stages.map((stage) => count((mutant) => mutant.by === stage));
  const what = ['killed', 'invalid', 'survived'].map((word) => count(({ result }) => result === word));
  console.log(row(name, [some.length, ...what, ...by]));
};
for (const file of new Set(results.map((mutant) => mutant.file)))
  line(
    file,
    results.filter((mutant) => mutant.file === file),
  );
for (const kind of new Set(results.map((mutant) => mutant.kind)))
  line(
    `all ${kind}`,
    results.filter((mutant) => mutant.kind === kind),
  );
line('all', results);
for (const mutant of unexplained) console.log(`survives: ${place(mutant)}  ${mutant.was}  ->  ${mutant.becomes}`);
for (const reason of stale) console.log(`no survivor: ${reason.file}  ${reason.was}  ->  ${reason.becomes}`);

const share = killed.length / (killed.length + survivors.length);
console.log(
  `${killed.length} of ${results.length} mutants killed (${(100 * share).toFixed(1)} %), ${explained.length} survive with a ` +
    `reason, ${unexplained.length} unexplained, in ${Math.round((performance.now() - started) / 1000)} s`,
);
if (unexplained.length > 0)
  console.error(
    `error: ERR_MUTANT ${unexplained.length} mutants survive, expected 0 without a reason; add a case that sees them to test/ops or cuda/check, or the reason to ${REASONS}`,
  );
if (stale.length > 0)
  console.error(`error: ERR_MUTANT ${stale.length} reasons have no survivor, expected 0; remove them from ${REASONS}`);
const tooFew = options.filter === '' && share < LEAST; // a part of them may have its share of survivors
if (tooFew)
  console.error(
    `error: ERR_MUTANT ${(100 * share).toFixed(1)} % are killed, expected ${100 * LEAST} % at least; add cases that see the survivors`,
  );
process.exit(unexplained.length > 0 || stale.length > 0 || tooFew ? 1 : 0);
