// What the package is for, from nothing, in some minutes and without a download: trains a small encoder on the dictionary WordNet,
// once with CLFR, which holds the number of terms, and once without; compares both with BM25 on entries that
// were held out; indexes those and searches them. `npm run demo` installs and builds first.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeDictionary } from './demo/dictionary.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { createModel, documentText, FLES1Encoder, InvertedIndex, readBeir } = createRequire(import.meta.url)(
  '../dist/index.js',
);
const folder = join(root, 'build/demo');
const recipe = join(root, 'scripts/demo/recipe.json');

/** Runs `fles ARGUMENTS` in the demo's folder; a terminal gets the progress bars, a log no JSON lines. */
function fles(...args) {
  console.log(`\n$ fles ${args.join(' ').replaceAll(`${root}/`, '')}`);
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    cwd: folder,
    stdio: ['ignore', 'inherit', process.stderr.isTTY ? 'inherit' : 'pipe'],
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status === 0) return;
  // Of a run that was interrupted or failed, the last lines say why.
  process.stderr.write((stderr ?? '').split('\n').slice(-20).join('\n'));
  process.exit(status ?? 1);
}

/** Answers one sentence from an index of the held-out entries, and says which terms made the first hit. */
async function search(sentence) {
  const encoder = await FLES1Encoder.fromPretrained(join(folder, 'controlled'));
  const documents = [];
  for await (const document of (await readBeir(join(folder, 'data'), 'test')).documents()) documents.push(document);
  const vectors = await encoder.encodeBatch(documents.map(documentText));
  const entries = documents.map(({ id }, i) => ({ id, vector: vectors.row(i) }));
  const index = await InvertedIndex.build(join(folder, 'index'), entries);
  const query = await encoder.encode(sentence, { kind: 'query' });
  console.log(`\nIndexed ${documents.length} entries. "${sentence}" finds`);
  const hits = await index.search(query, { k: 3 });
  for (const { document, score } of hits) console.log(`  ${score.toFixed(2)}  ${documentText(documents[document])}`);
  const parts = query.explain(vectors.row(hits[0].document)).slice(0, 6);
  console.log(`The first by ${parts.map(({ term, product }) => `${term} ${product.toFixed(2)}`).join(', ')}`);
  index.close();
  encoder.dispose();
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const texts = writeDictionary(join(folder, 'data'));
console.log(
  `WordNet: ${texts.length / 2} sentences with their entries to learn from. A model of 1.2 million weights from scratch:`,
);
await createModel(join(folder, 'scratch'), { texts, vocabularySize: 6000, maxPositions: 64 });

// A model from scratch has thousands of terms. At a low temperature, or held to few of them at once, it would fall silent before
// it has learnt which ones matter.
const foundation = {
  model: 'scratch',
  steps: 400,
  'optimizer.warmup': 100,
  'loss.temperature': 4,
  'loss.flops.documents': 0,
  'loss.flops.queries': 0,
  'clfr.law': 'none',
};
const settings = (values) => Object.entries(values).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
fles('train', '--config', recipe, ...settings(foundation), '--output', 'foundation');
fles('train', '--config', recipe, '--output', 'controlled');
fles('train', '--config', recipe, '--set', 'clfr.law=none', '--output', 'uncontrolled');
const systems = 'bm25,controlled=controlled,uncontrolled=uncontrolled';
fles('eval', '--data', 'data', '--split', 'test', '--systems', systems, '--output', 'comparison');
await search('the old man lit his pipe');
fles('report', 'controlled', 'uncontrolled', '--output', 'report.html');
console.log(`\nThe curves of both runs: ${join(folder, 'report.html')}`);
