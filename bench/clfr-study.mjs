// The study of CLFR's laws: splade-tiny is trained on the pairs of MedQuAD and SQuAD, the same 2,000 steps for every law, and is
// to end at 120 terms a document; NFCorpus tells what that costs.
//
//   npm run build
//   FLES_DATA=... FLES_MODELS=... node bench/clfr-study.mjs [--runs none,interval] [--jobs 2] [--folder build/clfr-study]
//   node bench/clfr-study.mjs --report
//
// The recipe is bench/clfr-study.json, that of minilm's head bench/minilm-mlm.json; what a run changes in it is in
// bench/support/clfr-study.mjs. Runs that were stopped go on where they stood, and those that are done are left alone.
// --jobs shares the cores out among several runs. The log of a run that is done goes to bench/results/clfr-study, and
// --report alone makes docs/clfr-study.md and report.html there of what it finds.
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
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

/** Runs `fles ARGUMENTS` in the folder. */
function fles(args) {
  const env = { ...process.env, FLES_NUM_THREADS: String(Math.max(1, Math.floor(availableParallelism() / jobs))) };
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  // Progress comes as lines, of which the last ones matter.
  child.stderr.setEncoding('utf8').on('data', (text) => (errors = (errors + text).slice(-2000)));
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (status) =>
      status === 0 ? done() : failed(new Error(`fles ${args.join(' ')}: ${status}\n${errors}`)),
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
  const test = join(results, `${name}.test.json`);
  if (existsSync(test)) return;
  const { settings, head } = RUNS[name];
  const model = settings === null ? 'models/splade-tiny' : name;
  if (head !== undefined && !existsSync(join(folder, head, 'model.safetensors'))) {
    console.log(`${name}: training a masked-language-model head`);
    await fles(['train', '--config', join(root, 'bench', `${head}.json`), '--output', head, '--resume']);
    copyFileSync(join(folder, head, 'metrics.jsonl'), join(results, `${head}.jsonl`));
  }
  if (settings !== null) {
    const changes = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${JSON.stringify(value)}`]);
    console.log(`${name}: training`);
    await fles(['train', '--config', recipe, ...changes, '--output', name, '--resume']);
  }
  console.log(`${name}: evaluating`);
  const found = await evaluate(model, `${name}-test`);
  // The evaluation comes last: a run that has one is done.
  if (settings !== null) copyFileSync(join(folder, name, 'metrics.jsonl'), join(results, `${name}.jsonl`));
  writeFileSync(`${test}.tmp`, `${JSON.stringify(found, undefined, 2)}\n`);
  renameSync(`${test}.tmp`, test);
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
