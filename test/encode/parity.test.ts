import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FLES1Encoder } from '../../lib/encode/encoder';
import type { SparseVector } from '../../lib/sparse-vector';
import { locate, modelNames, readModelFixture, readRealFixture, spread } from '../support/fixtures';
import { backends, rowsStandAlone } from '../support/native-ops';

// The bound that the encoder promises against PyTorch in float32. The fixtures have no weight this near to 0.3.
const tolerance = 2e-4;

/** The vector with its zeros; checks on the way that it is one: terms ascending, weights above 0. */
function toDense(vector: SparseVector, size: number): Float32Array {
  const dense = new Float32Array(size);
  for (const [i, term] of vector.terms.entries()) {
    expect(term, 'terms ascend').toBeGreaterThan(i === 0 ? -1 : vector.terms[i - 1]!);
    expect(vector.weights[i], 'weights are above 0').toBeGreaterThan(0);
    dense[term] = vector.weights[i]!;
  }
  return dense;
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);
}

function termsAbove(weights: Float32Array, threshold: number): number[] {
  return [...weights.keys()].filter((term) => weights[term]! > threshold);
}

/** Entries as `[term, weight]`, so that two vectors can be compared bit for bit. */
function entries(vector: SparseVector): [number, number][] {
  return Array.from(vector.terms, (term, i) => [term, vector.weights[i]!]);
}

/** What top-K keeps, by sorting: the largest weights, the lowest term where they are equal; in the order of terms. */
function largest(all: [number, number][], k: number): [number, number][] {
  const byWeight = all.toSorted(([a, x], [b, y]) => y - x || a - b);
  return byWeight.slice(0, k).sort(([a], [b]) => a - b);
}

describe.each(modelNames.flatMap((name) => backends.map((device) => [name, device] as const)))(
  '%s on %s',
  (name, device) => {
    const fixture = readModelFixture(name);
    const { maxLength, tiedTerms } = fixture;
    // The first text is empty: PyTorch has a vector for [CLS] [SEP] alone, the encoder none.
    const texts = fixture.texts.slice(1);

    describe.each(['max', 'sum', 'log1p_log1p'] as const)('with pooling %s', (pooling) => {
      const expected = fixture.expected(`float32.${pooling}`).slice(1);
      const exact = fixture.expected(`float64.${pooling}`).slice(1);
      const size = expected[0]!.length;
      let encoder: FLES1Encoder;
      let vectors: SparseVector[];
      beforeAll(async () => {
        encoder = await FLES1Encoder.fromPretrained(fixture.directory, { pooling, device });
        vectors = [...(await encoder.encodeBatch(texts, { maxLength }))];
      });
      afterAll(() => encoder?.dispose());

      test('every weight is that of PyTorch within 2e-4', () => {
        for (const [i, vector] of vectors.entries()) {
          expect(largestDifference(toDense(vector, size), expected[i]!), texts[i]).toBeLessThanOrEqual(tolerance);
        }
      });

      test('the terms above 0.3 are those of PyTorch', () => {
        for (const [i, vector] of vectors.entries()) {
          expect(termsAbove(toDense(vector, size), 0.3), texts[i]).toEqual(termsAbove(expected[i]!, 0.3));
        }
      });

      test('the error against float64 is at most twice that of PyTorch in float32', () => {
        const actual = vectors.map((vector) => toDense(vector, size));
        expect(spread(actual, exact)).toBeLessThanOrEqual(2 * spread(expected, exact));
      });

      test('a text without tokens has an empty vector, alone and among others', async () => {
        for (const text of ['', ' \t\n']) expect((await encoder.encode(text)).nnz).toBe(0);
        const matrix = await encoder.encodeBatch(['', texts[0]!, ' '], { maxLength });
        expect([...matrix].map(({ nnz }) => nnz)).toEqual([0, vectors[0]!.nnz, 0]);
        if (rowsStandAlone(device)) expect(entries(matrix.row(1))).toEqual(entries(vectors[0]!));
      });

      test.skipIf(!rowsStandAlone(device))('each text alone equals the same text in a batch bit for bit', async () => {
        for (const [i, text] of texts.entries()) {
          expect(entries(await encoder.encode(text, { maxLength })), text).toEqual(entries(vectors[i]!));
        }
      });

      test.skipIf(!rowsStandAlone(device)).each([1, 2, 5])(
        'batches of %i give the bits of one batch',
        async (batchSize) => {
          const matrix = await encoder.encodeBatch(texts, { maxLength, batchSize });
          expect([...matrix].map(entries)).toEqual(vectors.map(entries));
        },
      );

      test('a threshold keeps the weights above it and no weight equal to it', async () => {
        const tie = vectors.at(-1)!.weights[vectors.at(-1)!.terms.indexOf(tiedTerms[0]!)]!;
        for (const threshold of [0.3, 1, tie]) {
          const matrix = await encoder.encodeBatch(texts, { maxLength, threshold });
          const kept = vectors.map((vector) => entries(vector).filter(([, weight]) => weight > threshold));
          expect([...matrix].map(entries), `threshold ${threshold}`).toEqual(kept);
        }
      });

      test('topK keeps the K largest weights, of equal ones those of the lowest terms', async () => {
        const last = entries(vectors.at(-1)!);
        const weights = new Map(last);
        const tie = weights.get(tiedTerms[0]!)!;
        expect(tiedTerms.map((term) => weights.get(term))).toEqual(tiedTerms.map(() => tie));
        const heavier = last.filter(([, weight]) => weight > tie).length;
        for (const topK of [1, 7, heavier + 2, size]) {
          const matrix = await encoder.encodeBatch(texts, { maxLength, topK });
          expect([...matrix].map(entries), `topK ${topK}`).toEqual(vectors.map((v) => largest(entries(v), topK)));
        }
        const cut = await encoder.encode(texts.at(-1)!, { maxLength, topK: heavier + 2 });
        expect(tiedTerms.filter((term) => cut.terms.includes(term))).toEqual(tiedTerms.slice(0, 2));
      });

      test('topK applies to what the threshold left', async () => {
        const matrix = await encoder.encodeBatch(texts, { maxLength, threshold: 0.8, topK: 9 });
        const kept = vectors.map((vector) =>
          largest(
            entries(vector).filter(([, weight]) => weight > 0.8),
            9,
          ),
        );
        expect([...matrix].map(entries)).toEqual(kept);
      });

      test('dropSpecialTokens leaves out the special tokens and nothing else', async () => {
        const special = new Set(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']);
        const isSpecial = ([term]: [number, number]) => special.has(encoder.vocabulary[term]!);
        expect(vectors.some((vector) => entries(vector).some(isSpecial))).toBe(true);
        const matrix = await encoder.encodeBatch(texts, { maxLength, dropSpecialTokens: true });
        const kept = vectors.map((vector) => entries(vector).filter((entry) => !isSpecial(entry)));
        expect([...matrix].map(entries)).toEqual(kept);
      });
    });
  },
);

const models = locate('FLES_MODELS', 'splade-tiny');
const data = locate('FLES_DATA', 'nfcorpus');
const skipped = models.reason || data.reason;

describe.skipIf(skipped)(`splade-tiny on 60 texts of NFCorpus${skipped}`, () => {
  let fixture: ReturnType<typeof readRealFixture>;
  let vectors: SparseVector[];
  let encoder: FLES1Encoder;
  beforeAll(async () => {
    fixture = readRealFixture(data.directory);
    encoder = await FLES1Encoder.fromPretrained(join(models.directory, 'splade-tiny'), { device: 'cpu' });
    vectors = [...(await encoder.encodeBatch(fixture.texts, { maxLength: fixture.maxLength }))];
  });
  afterAll(() => encoder?.dispose());

  test('every weight is that of PyTorch within 2e-4', () => {
    for (const [i, vector] of vectors.entries()) {
      const expected = new Float32Array(encoder.vocabulary.length);
      for (const [term, weight] of fixture.sparse[i]!) expected[term] = weight;
      const actual = toDense(vector, expected.length);
      expect(largestDifference(actual, expected), fixture.texts[i]).toBeLessThanOrEqual(tolerance);
      expect(termsAbove(actual, 0.3), fixture.texts[i]).toEqual(termsAbove(expected, 0.3));
    }
  });

  test('each text alone equals the same text in a batch bit for bit', async () => {
    for (const i of [0, 7, 23, 41, 59]) {
      const alone = await encoder.encode(fixture.texts[i]!, { maxLength: fixture.maxLength });
      expect(entries(alone), fixture.texts[i]).toEqual(entries(vectors[i]!));
    }
  });

  test('the published example has its 19 terms', async () => {
    const vector = await encoder.encode('Statin drugs lower cholesterol but may cause muscle pain.');
    expect(vector.nnz).toBe(19);
    const heaviest = vector.entries().slice(0, 8);
    expect(heaviest.map(([term]) => term)).toEqual([
      'stat',
      'drugs',
      'pain',
      'cho',
      'muscle',
      '##in',
      'lower',
      'cause',
    ]);
    // Four decimals were published.
    for (const [i, weight] of [2.0939, 1.7814, 1.7748, 1.7686, 1.7481, 1.4819, 1.4607, 1.3591].entries()) {
      expect(heaviest[i]![1]).toBeCloseTo(weight, 4);
    }
  });
});
