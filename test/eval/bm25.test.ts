import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type BeirDocument, readBeir, readTexts } from '../../lib/eval/beir';
import { type Bm25Fields, Bm25Index } from '../../lib/eval/bm25';
import { codedLength } from '../../lib/eval/bm25-field';
import { compare } from '../../lib/eval/compare';
import { BM25_SYSTEMS } from '../../lib/eval/systems';
import { separateTies } from '../../lib/eval/tie-scores';
import { readRun } from '../../lib/eval/trec';
import { rejected, thrown } from './thrown';

const fixture = (name: string) => join(__dirname, 'fixtures', name);
const data = process.env.FLES_DATA;

function documents(...texts: string[]): BeirDocument[] {
  return texts.map((text, i) => ({ id: `d${i}`, title: '', text }));
}

describe('against Lucene 10.3.1', () => {
  test.each<Bm25Fields>(['flat', 'multifield'])(
    '%s: every score is the same float32, ties in the same order',
    async (fields) => {
      const index = await Bm25Index.build(readTexts(fixture('bm25.corpus.jsonl')), { fields });
      const expected = await readRun(fixture(`bm25.${fields}.run`));
      let hits = 0;
      for await (const { id, text } of readTexts(fixture('bm25.queries.jsonl'))) {
        const found = index.search(text, 1000).map(({ id: document, score }) => ({ document, score }));
        // Java prints the shortest decimal of a float32, JavaScript that of a float64.
        expect(found).toEqual((expected.get(id) ?? []).map((hit) => ({ ...hit, score: Math.fround(hit.score) })));
        hits += found.length;
      }
      expect(hits).toBe(310);
    },
  );
});

describe('Bm25Index', () => {
  test('a document without any title and text counts nowhere, one with a title alone is kept', async () => {
    const index = await Bm25Index.build(
      [
        { id: 'a', title: '', text: ' ' },
        { id: 'b', title: 'word', text: '' },
        { id: 'c', title: '', text: 'the' },
        { id: 'd', title: 'word', text: 'word text' },
      ],
      { fields: 'multifield' },
    );
    expect(index.statistics).toEqual({
      documents: 3,
      fields: {
        contents: { documents: 1, terms: 2, distinct: 2 },
        title: { documents: 2, terms: 2, distinct: 1 },
      },
    });
    expect(index.search('word', 10).map(({ id }) => id)).toEqual(['d', 'b']);
  });

  test('equal scores come by id ascending in bytes, also where k cuts them', async () => {
    const index = await Bm25Index.build(['b', 'a', '😀', '\uff5e'].map((id) => ({ id, title: '', text: 'word' })));
    expect(index.search('word', 10).map(({ id }) => id)).toEqual(['a', 'b', '\uff5e', '😀']);
    expect(index.search('word', 2)).toMatchObject([
      { id: 'a', document: 1 },
      { id: 'b', document: 0 },
    ]);
  });

  test('a query of stop words or of unknown words finds nothing', async () => {
    const index = await Bm25Index.build(documents('the word'));
    expect(index.search('the', 10)).toEqual([]);
    expect(index.search('other', 10)).toEqual([]);
    expect(index.search('', 10)).toEqual([]);
  });

  test('an index without documents finds nothing', async () => {
    expect((await Bm25Index.build([])).search('word', 10)).toEqual([]);
  });

  test('a term that the query repeats counts as often', async () => {
    const index = await Bm25Index.build(documents('red', 'blue', 'green'));
    expect(index.search('red red', 1)[0]!.score).toBeCloseTo(2 * index.search('red', 1)[0]!.score, 6);
  });

  test('terms named like the members of an object are terms', async () => {
    const index = await Bm25Index.build(documents('constructor', '__proto__'));
    expect(index.search('constructor', 5).map(({ id }) => id)).toEqual(['d0']);
    expect(index.search('__proto__', 5).map(({ id }) => id)).toEqual(['d1']);
  });

  test('sparsity counts distinct terms and the products of a query with a document', async () => {
    const index = await Bm25Index.build(documents('red red blue', 'red', 'green', 'yellow'));
    // p_d: red 2/4, blue 1/4; p_q: red 1, blue 1/2.
    expect(index.sparsity(['red blue', 'red'])).toEqual({ nnz: { documents: 5 / 4, queries: 1.5 }, flops: 0.625 });
  });

  test('an id that comes twice is refused', async () => {
    const error = await rejected(Bm25Index.build([...documents('a'), ...documents('b')]));
    expect(error.code).toBe('ERR_ID_DUPLICATE');
  });

  test('k below 1 and unknown fields are refused', async () => {
    const index = await Bm25Index.build(documents('a'));
    expect(thrown(() => index.search('a', 0)).code).toBe('ERR_OPTION_RANGE');
    const error = await rejected(Bm25Index.build([], { fields: 'multi' as Bm25Fields }));
    expect(error.message).toContain('flat | multifield');
  });

  test('an aborted signal ends the build', async () => {
    const many = Array.from({ length: 300 }, (_, i) => ({ id: String(i), title: '', text: 'x' }));
    const build = Bm25Index.build(many, { signal: AbortSignal.abort(new Error('enough')) });
    await expect(build).rejects.toThrow('enough');
  });

  test('an aborted signal ends the build of a few documents too, and of a source that waits', async () => {
    const aborted = Bm25Index.build(documents('a'), { signal: AbortSignal.abort(new Error('enough')) });
    await expect(aborted).rejects.toThrow('enough');
    async function* silent(): AsyncGenerator<BeirDocument> {
      yield { id: 'first', title: '', text: 'a' };
      await new Promise(() => {});
    }
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('late')), 20);
    await expect(Bm25Index.build(silent(), { signal: controller.signal })).rejects.toThrow('late');
  });
});

test('lengths below 40 are exact, longer ones keep four significant bits above 24', () => {
  for (let length = 0; length <= 40; length++) expect(codedLength(length)).toBe(length);
  // From Lucene's SmallFloat.byte4ToInt(intToByte4(length)).
  expect([41, 42, 55, 56, 59, 100, 1000, 100_000].map(codedLength)).toEqual([40, 42, 54, 56, 56, 96, 984, 98_328]);
});

describe('scores of a run', () => {
  const scores = (...list: number[]) =>
    separateTies(list.map((score, i) => ({ document: `d${i}`, score }))).map(({ score }) => score.toFixed(6));

  test('are rounded to 4 decimals, and each further member of a tie is lowered by 1e-6', () => {
    expect(scores(2.00001, 2.00002, 1.99998, 1.5)).toEqual(['2.000000', '1.999999', '1.999998', '1.500000']);
  });

  test('without ties are only rounded', () => {
    expect(scores(4.32198, 1.00004)).toEqual(['4.322000', '1.000000']);
  });
});

describe.skipIf(!data)('on NFCorpus (needs FLES_DATA, the folder that holds nfcorpus)', () => {
  const rows: Record<string, Awaited<ReturnType<typeof first>>> = {};
  const first = async (system: keyof typeof BM25_SYSTEMS) => {
    const dataset = await readBeir(join(data!, 'nfcorpus'), 'test');
    for await (const { row } of compare(dataset, [BM25_SYSTEMS[system]])) return row;
    throw new Error('no row');
  };

  beforeAll(async () => {
    rows.flat = await first('bm25');
    rows.multifield = await first('bm25-multifield');
  });

  test('flat gives the published nDCG@10 0.3218 and R@100 0.2457 over 637,485 terms', () => {
    expect(rows.flat!.metrics.ndcg_cut_10!.toFixed(6)).toBe('0.321784');
    expect(rows.flat!.metrics.recall_100!.toFixed(4)).toBe('0.2457');
    expect(rows.flat!.terms).toEqual({ contents: 637_485 });
  });

  test('multifield gives the published nDCG@10 0.3254 and R@100 0.2500 over 601,950 terms of contents', () => {
    expect(rows.multifield!.metrics.ndcg_cut_10!.toFixed(6)).toBe('0.325450');
    expect(rows.multifield!.metrics.recall_100!.toFixed(4)).toBe('0.2500');
    expect(rows.multifield!.terms).toEqual({ contents: 601_950, title: 35_535 });
  });

  test('15 of 323 judged queries have no results and count 0', () => {
    expect(rows.flat).toMatchObject({
      documents: 3633,
      queries: 323,
      unanswered: 15,
      indexBytes: null,
      threshold: null,
    });
  });
});
