// The study of CLFR's laws: splade-tiny, which starts at about 245 terms a document, is trained on the pairs of MedQuAD and
// SQuAD, the same 2,000 steps for every law, and is to end at 120 terms; NFCorpus tells what that costs.
//
//   npm run build
//   FLES_DATA=... FLES_MODELS=... node bench/clfr-study.mjs [--runs none,interval] [--jobs 2] [--folder build/clfr-study]
//   node bench/clfr-study.mjs --report
//
// The recipe is bench/clfr-study.json; what a run changes in it is below. Runs that were stopped go on where they stood,
// and those that are done are left alone. --jobs shares the cores out among several runs. The log of a run that is done goes to
// bench/results/clfr-study, and --report alone makes docs/clfr-study.md and report.html there of what it finds.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RUNS, writeReport } from './support/clfr-study.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const results = join(root, 'bench/results/clfr-study');
const recipe = join(root, 'bench/clfr-study.json');

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: Object.keys(RUNS).join(',') },
    jobs: { type: 'string', default: '1' },
    folder: { type: 'string', default: join(root, 'build/clfr-study') },
    report: { type: 'boolean', default: false },
  },
});
const folder = resolve(options.folder);
const jobs = Number(options.jobs);

/** The names of the recipe, whatever the folders are called here. */
function linkInputs() {
  for (const [name, variable] of [
    ['data', 'FLES_DATA'],
    ['models', 'FLES_MODELS'],
  ]) {
    const path = process.env[variable];
    if (!path) throw new Error(`${variable} is not set; let it name a folder as CONTRIBUTING.md says`);
    if (!existsSync(join(folder, name))) symlinkSync(resolve(path), join(folder, name));
  }
}

/** What `fles ARGUMENTS` prints. */
function fles(args) {
  const env = { ...process.env, FLES_NUM_THREADS: String(Math.max(1, Math.floor(availableParallelism() / jobs))) };
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  // Progress comes as lines, of which the last ones matter.
  child.stderr.setEncoding('utf8').on('data', (text) => (errors = (errors + text).slice(-2000)));
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (status) =>
      status === 0 ? done(output) : failed(new Error(`fles ${args.join(' ')}: ${status}\n${errors}`)),
    );
  });
}

async function evaluate(model, output) {
  const args = ['--data', 'data/nfcorpus', '--split', 'test', '--systems', `model=${model}`, '--max-length', '256'];
  await fles(['eval', ...args, '--output', output]);
  const { rows, command, versions, machine, date } = JSON.parse(
    readFileSync(join(folder, output, 'report.json'), 'utf8'),
  );
  return { rows, command, versions, machine, date };
}

async function run(name) {
  const log = join(results, `${name}.jsonl`);
  const test = join(results, `${name}.test.json`);
  if (existsSync(log) && existsSync(test)) return;
  const { settings } = RUNS[name];
  const model = settings === null ? 'models/splade-tiny' : name;
  if (settings !== null) {
    const changes = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${JSON.stringify(value)}`]);
    console.log(`${name}: training`);
    await fles(['train', '--config', recipe, ...changes, '--output', name, '--resume']);
  }
  console.log(`${name}: evaluating`);
  const found = await evaluate(model, `${name}-test`);
  writeFileSync(test, `${JSON.stringify(found, undefined, 2)}\n`);
  if (settings !== null) writeFileSync(log, readFileSync(join(folder, name, 'metrics.jsonl')));
}

mkdirSync(folder, { recursive: true });
if (!options.report) {
  mkdirSync(results, { recursive: true });
  linkInputs();
  const waiting = options.runs.split(',');
  const unknown = waiting.find((name) => !(name in RUNS));
  if (unknown !== undefined) throw new Error(`no run ${unknown}, expected one of ${Object.keys(RUNS).join(', ')}`);
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await run(name);
  };
  await Promise.all(Array.from({ length: jobs }, work));
}
await writeReport(root, results, fles);
