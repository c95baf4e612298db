import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Tokenizer } from '../../../lib/text/tokenizer';
import { openPairs, streamBatches } from '../../../lib/train/data';

const { FLES_DATA: data, FLES_MODELS: models } = process.env;

describe.skipIf(!data)('real data (needs FLES_DATA)', () => {
  test.each<[string, number, number]>([
    ['medquad', 16_407, 16_407],
    ['squad', 38_196, 38_196],
    ['nfcorpus', 110_575, 3_633],
  ])('%s has %i examples and %i documents to draw from', async (name, examples, documents) => {
    const source = await openPairs(join(data!, name));
    expect([source.size, source.pool.size, source.notes]).toEqual([examples, documents, []]);
    const [first, last] = await source.examples([0, source.size - 1]);
    for (const { query, positive } of [first!, last!]) {
      expect(query.text.length * positive.text.length).toBeGreaterThan(0);
      expect(source.isPositive(query.key, positive.key)).toBe(true);
    }
    await source.close();
  });

  test.skipIf(!models)('medquad and squad give steps of 64 documents (needs FLES_MODELS)', async () => {
    const source = await openPairs([join(data!, 'medquad'), join(data!, 'squad')]);
    const tokenizer = await Tokenizer.load(join(models!, 'splade-tiny'));
    const options = { queries: 8, negatives: 7, seed: 1, queryLength: 32, documentLength: 64 };
    const stream = streamBatches(source, tokenizer, options);
    expect(stream.stepsPerEpoch).toBe(Math.floor((16_407 + 38_196) / 8));
    for (let step = 0; step < 20; step++) {
      const { documents, queries, texts } = await stream.next();
      expect([documents.offsets.length, queries.offsets.length]).toEqual([65, 9]);
      for (let query = 0; query < 8; query++) {
        expect(new Set(texts.documents.slice(8 * query, 8 * query + 8)).size).toBe(8);
      }
    }
    await stream.close();
    await source.close();
  });
});
