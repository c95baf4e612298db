import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FLES1Encoder } from '../../lib/encode/encoder';
import { locate, modelNames, readModelFixture, readRealFixture, spread } from '../support/fixtures';

type Matrix = Awaited<ReturnType<FLES1Encoder['encodeDense']>>;

function rowsOf(matrix: Matrix): Float32Array[] {
  const { rows, columns, values } = matrix;
  expect(values.length).toBe(rows * columns);
  return Array.from({ length: rows }, (_, i) => values.subarray(i * columns, (i + 1) * columns));
}

function largestDifference(a: Float32Array[], b: Float32Array[]): number {
  expect(a.map((row) => row.length)).toEqual(b.map((row) => row.length));
  const differences = a.map((row, i) => row.reduce((worst, x, j) => Math.max(worst, Math.abs(x - b[i]![j]!)), 0));
  return Math.max(...differences);
}

describe.each(modelNames)('%s in dense mode', (name) => {
  const fixture = readModelFixture(name);
  const { texts, maxLength } = fixture;

  describe.each([
    { pooling: 'mean', normalize: false },
    { pooling: 'mean', normalize: true },
    { pooling: 'cls', normalize: false },
    { pooling: 'cls', normalize: true },
  ] as const)('with pooling $pooling, normalize $normalize', (denseMode) => {
    const key = `${denseMode.pooling}${denseMode.normalize ? '.normalized' : ''}`;
    const expected = fixture.expected(`float32.${key}`);
    const exact = fixture.expected(`float64.${key}`);
    let encoder: FLES1Encoder;
    let vectors: Float32Array[];
    beforeAll(async () => {
      encoder = await FLES1Encoder.fromPretrained(fixture.directory, { mode: 'dense', denseMode, device: 'cpu' });
      vectors = rowsOf(await encoder.encodeDense(texts, { maxLength }));
    });
    afterAll(() => encoder?.dispose());

    test('every dimension is that of PyTorch, with at most twice its error against float64', () => {
      expect(largestDifference(vectors, expected)).toBeLessThanOrEqual(1e-5);
      expect(spread(vectors, exact)).toBeLessThanOrEqual(2 * spread(expected, exact));
    });

    test('a text without word pieces has the vector of [CLS] [SEP]', async () => {
      expect(texts[0]).toBe('');
      expect(rowsOf(await encoder.encodeDense([' \t\n'], { maxLength }))).toEqual([vectors[0]]);
    });

    test('each text alone equals the same text in a batch bit for bit', async () => {
      for (const [i, text] of texts.entries()) {
        expect(rowsOf(await encoder.encodeDense([text], { maxLength })), text).toEqual([vectors[i]]);
      }
    });

    if (denseMode.normalize) {
      test('vectors have length 1', () => {
        // At most 80 squares that sum to 1, each with a relative error of some 2^-24.
        for (const vector of vectors) expect(Math.abs(Math.hypot(...vector) - 1)).toBeLessThan(1e-6);
      });
    }
  });
});

const models = locate('FLES_MODELS', 'minilm-l6-h384');
const data = locate('FLES_DATA', 'nfcorpus');
const skipped = models.reason || data.reason;

describe.skipIf(skipped)(`minilm-l6-h384 on 60 texts of NFCorpus${skipped}`, () => {
  let encoder: FLES1Encoder;
  beforeAll(async () => {
    encoder = await FLES1Encoder.fromPretrained(join(models.directory, 'minilm-l6-h384'), { device: 'cpu' });
  });
  afterAll(() => encoder?.dispose());

  test('a sentence-transformers folder with mean pooling and normalisation is a dense encoder by itself', () => {
    expect(encoder.mode).toBe('dense');
  });

  test('every dimension is that of PyTorch within 2e-6', async () => {
    const { texts, maxLength, dense } = readRealFixture(data.directory);
    const vectors = rowsOf(await encoder.encodeDense(texts, { maxLength }));
    expect(largestDifference(vectors, dense)).toBeLessThanOrEqual(2e-6);
  });
});
