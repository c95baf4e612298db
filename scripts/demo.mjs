// The comparison that the package is for, on the collection that comes with it: BM25, and a sparse encoder where one can be
// reached. `npm run demo` installs and builds first.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** 4.4 million parameters, 18 MB. */
const HUB_MODEL = 'rasyosef/splade-tiny';

/** What `fles ARGUMENTS` returns; its progress is shown. */
function fles(args, stdout = 'inherit') {
  const cli = join(root, 'dist/cli/main.js');
  // A terminal gets the progress bars, a log no JSON lines.
  const stderr = process.stderr.isTTY ? 'inherit' : 'pipe';
  return spawnSync(process.execPath, [cli, ...args], {
    cwd: root,
    stdio: ['ignore', stdout, stderr],
    encoding: 'utf8',
  });
}

/** The model to compare with: FLES_MODEL, a folder of FLES_MODELS, or a small one from the hub. */
function modelName() {
  if (process.env.FLES_MODEL) return process.env.FLES_MODEL;
  const folder = process.env.FLES_MODELS && join(process.env.FLES_MODELS, 'splade-tiny');
  return folder && existsSync(folder) ? folder : HUB_MODEL;
}

const model = modelName();
const probe = fles(['info', '--model', model, '--json'], 'pipe');
const found = probe.status === 0;
const systems = ['bm25', 'bm25-multifield', ...(found ? [`splade=${model}`] : [])];
if (!found) {
  process.stderr.write(probe.stderr ?? '');
  console.log(`No sparse encoder: ${model} cannot be used. Set FLES_MODEL to a model folder or a hub id to add one.\n`);
}

const output = join('build', 'demo');
const comparison = [
  '--data',
  'examples/library',
  '--split',
  'test',
  '--systems',
  systems.join(','),
  '--output',
  output,
];
console.log(`fles eval ${comparison.join(' ')}\n`);
const { status, stderr } = fles(['eval', ...comparison]);
if (status !== 0) process.stderr.write(stderr ?? '');
process.exitCode = status ?? 1;
