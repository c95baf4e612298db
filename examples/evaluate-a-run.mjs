// BM25 on the library collection, written as a TREC run, read back and scored as trec_eval does; and whether a title field of
// its own makes a difference that 30 queries can show.
//   node examples/evaluate-a-run.mjs
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Bm25Index, evaluate, randomisationTest, readBeir, readRun, valuesOf, writeRun } from 'fles';

const library = await readBeir(fileURLToPath(new URL('library', import.meta.url)), 'test');
const directory = await mkdtemp(join(tmpdir(), 'fles-example-'));

const perQuery = {};
for (const fields of ['flat', 'multifield']) {
  const bm25 = await Bm25Index.build(library.documents(), { fields });
  const run = new Map();
  for (const [id, text] of library.queries) {
    run.set(
      id,
      bm25.search(text, 100).map((hit) => ({ document: hit.id, score: hit.score })),
    );
  }
  const file = join(directory, `${fields}.trec`);
  await writeRun(file, run, { tag: fields });

  const evaluation = evaluate(library.qrels, await readRun(file), {
    metrics: ['ndcg_cut_10', 'recall_100'],
    perQuery: true,
  });
  perQuery[fields] = valuesOf(evaluation.perQuery, 'ndcg_cut_10');
  const { ndcg_cut_10, recall_100 } = evaluation.metrics;
  console.log(`${fields.padEnd(11)} nDCG@10 ${ndcg_cut_10.toFixed(4)}  Recall@100 ${recall_100.toFixed(4)}`);
}
const { difference, p } = randomisationTest(perQuery.flat, perQuery.multifield);
console.log(`difference  ${difference.toFixed(4)}, p = ${p.toFixed(3)}`);
await rm(directory, { recursive: true });
