import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { locate } from '../support/fixtures';
import { fles } from './run-fles';
import { temporaryFolder } from './temporary';

const data = locate('FLES_DATA', 'nfcorpus');
const models = locate('FLES_MODELS', 'splade-tiny');

let termsInFloat32 = 0; // a document, as the first test finds

test.skipIf(!data.found || !models.found)(
  `one command compares BM25 and a sparse encoder on NFCorpus with the figures that are known${data.reason || models.reason}`,
  { timeout: 900_000 },
  async () => {
    const output = await temporaryFolder();
    const systems = `bm25,bm25-multifield,sparse=${join(models.directory, 'splade-tiny')}`;
    const args = ['--data', join(data.directory, 'nfcorpus'), '--split', 'test', '--systems', systems];
    const { code } = await fles(['eval', ...args, '--thresholds', '0,0.3', '--max-length', '256', '--output', output], {
      env: { FLES_NUM_THREADS: '' }, // as many as there are: this is the long one
    });
    expect(code).toBe(0);
    const { rows } = JSON.parse(await readFile(join(output, 'report.json'), 'utf8'));
    const [flat, multifield, whole, cut] = rows;
    termsInFloat32 = whole.nnz.documents;

    // Anserini's published figures, to the four decimals they have.
    expect([flat, multifield].map(({ metrics }) => metrics.ndcg_cut_10.toFixed(4))).toEqual(['0.3218', '0.3254']);
    expect([flat, multifield].map(({ metrics }) => metrics.recall_100.toFixed(4))).toEqual(['0.2457', '0.2500']);
    expect([flat.terms.contents, multifield.terms.contents]).toEqual([637485, 601950]);

    // PyTorch's vectors scored by pytrec_eval. Float32 sums in another order may swap neighbours of nearly equal score.
    for (const [row, ndcg, nnz] of [
      [whole, 0.3056, 251.7],
      [cut, 0.3033, 173.7],
    ]) {
      expect(Math.abs(row.metrics.ndcg_cut_10 - ndcg)).toBeLessThan(5e-4);
      expect(Math.abs(row.nnz.documents - nnz)).toBeLessThan(0.1);
    }
  },
);

test.skipIf(!data.found || !models.found).each([['bfloat16'], ['int8']])(
  `%s loses less than 0.002 of nDCG@10 on NFCorpus${data.reason || models.reason}`,
  { timeout: 900_000 },
  async (dtype) => {
    const output = await temporaryFolder();
    const systems = `sparse=${join(models.directory, 'splade-tiny')}`;
    const args = ['--data', join(data.directory, 'nfcorpus'), '--systems', systems, '--max-length', '256'];
    const { code } = await fles(['eval', ...args, '--dtype', dtype, '--output', output], {
      env: { FLES_NUM_THREADS: '' },
    });
    expect(code).toBe(0);
    const { rows } = JSON.parse(await readFile(join(output, 'report.json'), 'utf8'));
    expect(rows[0].metrics.ndcg_cut_10).toBeGreaterThan(0.3056 - 0.002);
    // It was computed in another way: the vectors are not those of float32.
    expect(termsInFloat32).toBeGreaterThan(0);
    expect(rows[0].nnz.documents).not.toBe(termsInFloat32);
  },
);
