import { afterAll, describe, expect, test } from 'vitest';
import type { LossTerm, NativeTrainer } from '../../lib/native';
import { randomFloats } from '../support/native-ops';
import { countOf, createTrainer, distance, encodedTexts, norm, readTrainingFixture } from './training-fixture';

const fixture = await readTrainingFixture('bert');
const { batch } = fixture;

const trainers: NativeTrainer[] = [];
afterAll(() => {
  for (const trainer of trainers) trainer.dispose();
});

/** A trainer with the pooled values of the fixture's texts. */
async function pooledOf({ pooling, queryKind }: Pick<(typeof fixture.cases)[number], 'pooling' | 'queryKind'>) {
  const trainer = await createTrainer(fixture, { pooling, queryKind });
  trainers.push(trainer);
  const texts = encodedTexts(batch, queryKind);
  const pooled = await trainer.encode(
    texts,
    Int32Array.from({ length: countOf(texts) }, (_, i) => i),
  );
  return { trainer, pooled };
}

describe('the objective', () => {
  test.each(fixture.cases)('changes as its gradient says: $name', async (entry) => {
    const { trainer, pooled } = await pooledOf(entry);
    const { gradients } = await trainer.losses(batch, entry.objective, pooled);
    // Kinks are left alone: values near 0, where relu has one.
    const direction = randomFloats(pooled.length, 3).map((value, i) => (Math.abs(pooled[i]!) < 0.05 ? 0 : value));
    const step = 1e-3;
    const loss = async (sign: number) =>
      (
        await trainer.losses(
          batch,
          entry.objective,
          pooled.map((value, i) => value + sign * step * direction[i]!),
        )
      ).loss;
    const slope = ((await loss(1)) - (await loss(-1))) / (2 * step);
    const expected = gradients.reduce((sum, gradient, i) => sum + gradient * direction[i]!, 0);
    // The losses are of float32 weights: 1e-6 of a loss, over the step, beside the second-order error of the step.
    const largest = Math.max(...Object.values(entry.values).map(Math.abs));
    expect(Math.abs(slope - expected)).toBeLessThanOrEqual(1e-2 * Math.abs(expected) + (1e-6 * largest) / step);
  });

  test('is the weighted sum of its terms, and each reports the norm of what it adds to the gradient', async () => {
    const entry = fixture.cases.find(({ name }) => name === 'everything max')!;
    const { trainer, pooled } = await pooledOf(entry);
    const whole = await trainer.losses(batch, entry.objective, pooled);
    const sum = new Float64Array(pooled.length);
    let loss = 0;
    for (const [term, weight] of Object.entries(entry.objective.weights) as [LossTerm, number][]) {
      const alone = await trainer.losses(batch, { ...entry.objective, weights: { [term]: weight } }, pooled);
      const report = alone.terms[term]!;
      expect(alone.loss).toBeCloseTo(weight * report.value, 10);
      expect(report.gradientNorm / norm(alone.gradients)).toBeCloseTo(1, 5);
      expect(whole.terms[term]).toEqual(report);
      for (const [i, gradient] of alone.gradients.entries()) sum[i]! += gradient;
      loss += alone.loss;
    }
    expect(whole.loss).toBeCloseTo(loss, 10);
    // Ten float32 gradients added in float32.
    expect(distance(Float32Array.from(sum), whole.gradients)).toBeLessThanOrEqual(1e-6 * norm(sum));
  });

  test('counts the terms of vectors as integers', async () => {
    const entry = fixture.cases[0]!;
    const { trainer, pooled } = await pooledOf(entry);
    const report = await trainer.losses(batch, entry.objective, pooled);
    const V = report.documentFrequencies.length;
    const dropped = new Set(fixture.options.dropped);
    const count = (first: number, last: number, ofTerm?: number) =>
      pooled.reduce((sum, value, i) => {
        const [text, term] = [Math.floor(i / V), i % V];
        const counts = text >= first && text < last && (ofTerm === undefined || term === ofTerm);
        return sum + +(counts && value > 0 && !dropped.has(term));
      }, 0);
    expect(report.queryTerms).toBe(count(0, 3));
    expect(report.documentTerms).toBe(count(3, 12));
    for (const term of [0, 3, 7, 20, 52]) {
      expect(report.queryFrequencies[term]).toBe(count(0, 3, term));
      expect(report.documentFrequencies[term]).toBe(count(3, 12, term));
    }
    // The gradient of pooled values and argmax, matrices of 12 texts and V terms; the others are where the gradients will be.
    expect(report.headBytes).toBe(2 * 4 * 12 * V);
  });

  test('a document without terms has no similarity and no gradient by it', async () => {
    const entry = fixture.cases.find(({ name }) => name === 'infoNCE cos all')!;
    const { trainer, pooled } = await pooledOf(entry);
    const V = pooled.length / 12;
    pooled.fill(-1, 5 * V, 6 * V);
    const report = await trainer.losses(batch, entry.objective, pooled);
    expect(report.loss).toBeGreaterThan(0);
    expect(new Set(report.gradients.subarray(5 * V, 6 * V))).toEqual(new Set([0]));
  });

  test('documents that are the same compete once; the positive stands for those that are like it', async () => {
    const entry = fixture.cases.find(({ name }) => name === 'infoNCE dot all')!;
    const { trainer, pooled } = await pooledOf(entry);
    const V = pooled.length / 12;
    const weights = pooled.map((value, i) =>
      value > 0 && !fixture.options.dropped.includes(i % V) ? Math.log1p(value) : 0,
    );
    const row = (text: number) => weights.subarray(text * V, (text + 1) * V);
    const entropy = (query: number, positive: number, candidates: number[]) => {
      const score = (d: number) =>
        row(query).reduce((sum, weight, v) => sum + weight * row(3 + d)[v]!, 0) / entry.objective.temperature;
      return Math.log(candidates.reduce((sum, d) => sum + Math.exp(score(d)), 0)) - score(positive);
    };
    // Document 3, a positive, is document 0, another; document 4 is document 1.
    const again = { ...batch, duplicates: Int32Array.of(0, 1, 2, 0, 1, 5, 6, 7, 8) };
    const others = [1, 2, 5, 6, 7, 8];
    const all = entropy(0, 0, [0, ...others]) + entropy(1, 3, [3, ...others]) + entropy(2, 6, [0, ...others]);
    const own = entropy(0, 0, [0, 1, 2]) + entropy(1, 3, [3, 4, 5]) + entropy(2, 6, [6, 7, 8]);
    for (const [negatives, expected] of [
      ['all', all / 3],
      ['own', own / 3],
    ] as const) {
      const { loss } = await trainer.losses(again, { ...entry.objective, negatives }, pooled);
      // Float32 weights and inner products.
      expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-5);
    }
    // Known answers of a query are none of its negatives, whatever the order of the pairs; its own stays.
    const excluded = Int32Array.of(2, 8, 0, 2, 2, 1, 1, 2);
    const without =
      entropy(0, 0, [0, 1, 5, 6, 7, 8]) + entropy(1, 3, [1, 3, 5, 6, 7, 8]) + entropy(2, 6, [0, 2, 4, 5, 6, 7]);
    const { loss } = await trainer.losses({ ...again, excluded }, entry.objective, pooled);
    expect(Math.abs(loss / (without / 3) - 1)).toBeLessThan(1e-5);
  });
});
