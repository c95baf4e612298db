import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { NativeObjective, NativeStepReport, NativeTrainer, NativeTrainerOptions } from '../../lib/native';
import { native } from '../../lib/native';
import { locate } from '../support/fixtures';
import {
  byName,
  countOf,
  createTrainer,
  distance,
  encodedTexts,
  joined,
  norm,
  readTrainingFixture,
  textsOf,
  weightsOf,
} from './training-fixture';

const fixture = await readTrainingFixture('bert');
const { batch } = fixture;
const { objective, update } = fixture.steps;
const dropout = { dropout: 0.2, attentionDropout: 0.3 };

const trainers: NativeTrainer[] = [];
afterAll(() => {
  for (const trainer of trainers) trainer.dispose();
});
async function create(changes: Partial<NativeTrainerOptions> = {}): Promise<NativeTrainer> {
  const trainer = await createTrainer(fixture, changes);
  trainers.push(trainer);
  return trainer;
}

/** What a report says but for the time it took, the memory, and sums over parameters, whose order may differ. */
function facts({ seconds: _, bytes: _b, headBytes: _h, gradientNorm: _n, ...report }: NativeStepReport) {
  return report;
}

/**
 * Each tensor of `actual` within 2e-6 of the norm of that tensor: sums over texts are formed in another order, and a sum
 * of some hundred float32 values moves by a few units of 6e-8 then. A key's bias, whose gradient is rounding alone,
 * within 1e-6 of all.
 */
function expectSameGradient(trainer: NativeTrainer, actual: Float32Array, expected: Float32Array) {
  const reference = byName(trainer, expected);
  for (const [name, gradient] of byName(trainer, actual)) {
    const allowed = name.endsWith('key.bias') ? 1e-6 * norm(expected) : 2e-6 * norm(reference.get(name)!);
    expect(distance(gradient, reference.get(name)!), name).toBeLessThanOrEqual(allowed);
  }
}

/** A step whose gradient stays to be read. */
const still = { ...update, rate: 0, weightDecay: 0 };

describe.each([
  ['max', 'encoder', {}],
  ['max', 'encoder', dropout],
  ['sum', 'encoder', {}],
  ['log1p_log1p', 'bag', dropout],
] as const)('pooling %s, %s queries, dropout %o', (pooling, queryKind, drops) => {
  const options = { pooling, queryKind, ...drops };

  test('micro-batches of any size give the losses and the number of terms of one big batch, bit for bit, and its gradient', async () => {
    const whole = await create(options);
    const expected = await whole.step(batch, objective, still);
    const gradient = await whole.gradients();
    expect(expected.documentTerms).toBeGreaterThan(0);
    for (const microBatchTokens of [1, 7, 20, 43]) {
      const cut = await create({ ...options, microBatchTokens });
      expect(facts(await cut.step(batch, objective, still))).toEqual(facts(expected));
      expectSameGradient(cut, await cut.gradients(), gradient);
    }
  });

  test('layers that keep nothing give the same bits', async () => {
    const keeping = await create({ ...options, microBatchTokens: 30 });
    for (let i = 0; i < 2; i++) await keeping.step(batch, objective, update);
    for (const keptLayers of [0, 1]) {
      const recomputing = await create({ ...options, keptLayers, microBatchTokens: 30 });
      for (let i = 0; i < 2; i++) await recomputing.step(batch, objective, update);
      expect(await weightsOf(recomputing)).toEqual(await weightsOf(keeping));
      expect(await recomputing.gradients()).toEqual(await keeping.gradients());
    }
  });

  test('two workers give the losses and the number of terms of one big batch, bit for bit, and its gradient', async () => {
    const whole = await create(options);
    const expected = await whole.step(batch, objective, still);
    const workers = [await create(options), await create({ ...options, microBatchTokens: 9 })];
    const texts = encodedTexts(batch, queryKind);
    const V = expected.documentFrequencies.length;
    // Texts by turns: a share is not a run of texts.
    const shares = workers.map((_, w) =>
      Int32Array.from({ length: countOf(texts) }, (_, i) => i).filter((i) => i % 2 === w),
    );
    const pooled = new Float32Array(countOf(texts) * V);
    for (const [w, worker] of workers.entries()) {
      const own = [...shares[w]!].map((i) => [...texts.tokens.subarray(texts.offsets[i], texts.offsets[i + 1])]);
      const rows = await worker.encode(textsOf(own), shares[w]!);
      for (const [row, i] of shares[w]!.entries()) pooled.set(rows.subarray(row * V, (row + 1) * V), i * V);
    }
    const { gradients, ...losses } = await workers[0]!.losses(batch, objective, pooled);
    expect(facts({ ...expected, ...losses })).toEqual(facts(expected));
    for (const [w, worker] of workers.entries()) {
      const own = new Float32Array(shares[w]!.length * V);
      for (const [row, i] of shares[w]!.entries()) own.set(gradients.subarray(i * V, (i + 1) * V), row * V);
      await worker.backward(own);
    }
    const others = await workers[1]!.gradients();
    await workers[1]!.addGradients(await workers[0]!.gradients());
    await workers[0]!.addGradients(others);
    const sum = await workers[0]!.gradients();
    expect(await workers[1]!.gradients()).toEqual(sum);
    expectSameGradient(whole, sum, await whole.gradients());

    const [first, second] = await Promise.all(workers.map((worker) => worker.update(update)));
    expect(first!.gradientNorm).toBe(second!.gradientNorm);
    expect(await weightsOf(workers[0]!)).toEqual(await weightsOf(workers[1]!));
  });
});

const models = locate('FLES_MODELS', 'splade-tiny');

test.skipIf(!models.found).each(['float32', 'bfloat16'] as const)(
  `the int8 screen of the vocabulary changes no bit of a step in %s, also where logits below 0 count${models.reason}`,
  async (dtype) => {
    const real = {
      directory: join(models.directory, 'splade-tiny'),
      options: { dtype, dropped: new Int32Array([5, 6]), bagDropped: new Int32Array(0) },
    };
    const [screened, whole] = [await createTrainer(real), await createTrainer(real)];
    trainers.push(screened, whole);
    // The phases do not know which values will count, and so compute all.
    const texts = encodedTexts(batch, 'encoder');
    const pooled = await whole.encode(
      texts,
      Int32Array.from({ length: countOf(texts) }, (_, i) => i),
    );
    expect(pooled.includes(Number.NEGATIVE_INFINITY)).toBe(false);
    // Four million values: an equality that could print them would take minutes.
    const bytes = async (trainer: NativeTrainer) => Buffer.from((await trainer.gradients()).buffer);
    const plain = { infoNCE: 1, flopsDocuments: 1e-3 };
    const V = pooled.length / countOf(texts);
    for (const [weights, antiCollapse] of [
      [plain, objective.antiCollapse],
      [
        { ...plain, antiCollapse: 1 },
        { k: 16, margin: 3 },
      ],
      // More terms than any text has.
      [
        { ...plain, antiCollapse: 1 },
        { k: 5000, margin: 0.5 },
      ],
    ] as [NativeObjective['weights'], NativeObjective['antiCollapse']][]) {
      const asked = { ...objective, weights, antiCollapse };
      const report = await screened.step(batch, asked, still);
      const { gradients, ...losses } = await whole.losses(batch, asked, pooled);
      await whole.backward(gradients);
      expect(facts({ ...report, ...losses })).toEqual(facts(report));
      expect((await bytes(screened)).equals(await bytes(whole))).toBe(true);
      // A term is at 0 or below in most texts: the screen has something to leave out.
      expect(report.documentTerms).toBeLessThan(0.1 * countOf(batch.documents) * V);
      if (weights.antiCollapse) expect(report.terms.antiCollapse!.value).toBeGreaterThan(0);
    }
  },
);

test('texts that are encoded and losses end a gradient, whose memory they use', async () => {
  const trainer = await create();
  await trainer.step(batch, objective, still);
  expect(norm(await trainer.gradients())).toBeGreaterThan(0);
  const before = await weightsOf(trainer);
  const texts = encodedTexts(batch, 'encoder');
  const numbers = Int32Array.from({ length: countOf(texts) }, (_, i) => i);
  await trainer.losses(batch, objective, await trainer.encode(texts, numbers));
  expect(norm(await trainer.gradients())).toBe(0);
  expect((await trainer.update(update)).problem).toBe('ERR_GRADIENT_VANISHED');
  expect(await weightsOf(trainer)).toEqual(before);
});

test('bfloat16 products give the gradient to the precision of their 8 bits', async () => {
  const [float32, bfloat16] = [await create(), await create({ dtype: 'bfloat16' })];
  const expected = await float32.step(batch, objective, still);
  const report = await bfloat16.step(batch, objective, still);
  // A value is rounded by 2^-9 at most; some dozen roundings lie between a weight and the loss.
  expect(Math.abs(report.loss / expected.loss - 1)).toBeLessThan(12 * 2 ** -9);
  expect(report.loss).not.toBe(expected.loss);
  const [gradient, reference] = [await bfloat16.gradients(), await float32.gradients()];
  const error = distance(gradient, reference) / norm(reference);
  expect(error).toBeGreaterThan(0);
  expect(error).toBeLessThan(0.05);
});

test('equal seeds give equal bits, and other seeds other masks', async () => {
  const run = async (seed: number) => {
    const trainer = await create({ ...dropout, seed });
    for (let i = 0; i < 3; i++) await trainer.step(batch, objective, update);
    return weightsOf(trainer);
  };
  const weights = await run(5);
  expect(await run(5)).toEqual(weights);
  expect(await run(6)).not.toEqual(weights);
});

test('every step has masks of its own', async () => {
  const trainer = await create(dropout);
  const [first, second] = [await trainer.step(batch, objective, still), await trainer.step(batch, objective, still)];
  expect(first.loss).not.toBe(second.loss);
});

test('accumulating parts of a batch by hand is not the step of the whole batch: the terms are taken over all of it', async () => {
  const trainer = await create();
  const whole = await trainer.step(batch, { ...objective, weights: { flopsDocuments: 1 } }, still);
  const parts = [0, 1, 2].map((q) => {
    const texts = encodedTexts(batch, 'bag');
    const own = [0, 1, 2].map((i) => [
      ...texts.tokens.subarray(texts.offsets[3 * q + i], texts.offsets[3 * q + i + 1]),
    ]);
    const query = [...batch.queries.tokens.subarray(batch.queries.offsets[q], batch.queries.offsets[q + 1])];
    return {
      queries: textsOf([query]),
      documents: textsOf(own),
      positives: Int32Array.of(0),
      owners: Int32Array.of(0, 0, 0),
      duplicates: Int32Array.of(0, 1, 2),
    };
  });
  let mean = 0;
  for (const part of parts) {
    const report = await trainer.step(part, { ...objective, weights: { flopsDocuments: 1 } }, still);
    mean += report.terms.flopsDocuments!.value / 3;
  }
  expect(mean).toBeGreaterThan(1.05 * whole.terms.flopsDocuments!.value);
});

test('micro-batches of masked language modelling give the loss of one big batch, and its gradient', async () => {
  const masked = { ...batch.documents, labels: fixture.labels };
  const whole = await create(dropout);
  const expected = await whole.stepMaskedLanguageModel(masked, still);
  for (const microBatchTokens of [1, 20]) {
    const cut = await create({ ...dropout, microBatchTokens });
    const report = await cut.stepMaskedLanguageModel(masked, still);
    // A sum in double, in the same order but cut elsewhere.
    expect(Math.abs(report.loss - expected.loss)).toBeLessThanOrEqual(1e-12 * expected.loss);
    expect(report.accuracy).toBeCloseTo(expected.accuracy, 12);
    expectSameGradient(cut, await cut.gradients(), await whole.gradients());
  }
});

describe('what goes wrong leaves the weights as they are:', () => {
  test('a loss that is not finite names its term', async () => {
    const trainer = await create();
    const before = await weightsOf(trainer);
    const termWeights = new Float32Array(53).fill(Number.POSITIVE_INFINITY);
    const flopsDocuments = { ...objective.flopsDocuments, termWeights };
    await expect(trainer.step(batch, { ...objective, flopsDocuments }, update)).rejects.toMatchObject({
      code: 'ERR_LOSS_NOT_FINITE',
      message: expect.stringContaining('flopsDocuments is NaN'),
    });
    expect(trainer.steps).toBe(0);
    expect(await weightsOf(trainer)).toEqual(before);
    // And the next step is as if nothing had been.
    const other = await create();
    await trainer.step(batch, objective, update);
    await other.step(batch, objective, update);
    expect(await weightsOf(trainer)).toEqual(await weightsOf(other));
  });

  test('a gradient that is 0 is reported', async () => {
    const trainer = await create();
    const before = await weightsOf(trainer);
    const report = await trainer.step(batch, { ...objective, weights: {} }, update);
    expect(report).toMatchObject({ problem: 'ERR_GRADIENT_VANISHED', gradientNorm: 0, steps: 0, loss: 0, terms: {} });
    expect(await weightsOf(trainer)).toEqual(before);
  });

  test('a cancellation', async () => {
    const trainer = await create();
    const before = await weightsOf(trainer);
    const cancellation = new native.Cancellation();
    cancellation.cancel();
    await expect(trainer.step(batch, objective, update, cancellation)).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    const masked = { ...batch.documents, labels: fixture.labels };
    await expect(trainer.stepMaskedLanguageModel(masked, update, cancellation)).rejects.toMatchObject({
      code: 'ERR_ABORTED',
    });
    expect(await weightsOf(trainer)).toEqual(before);
  });
});

describe('a batch that contradicts itself is refused:', () => {
  const changed = <T extends Int32Array | Float32Array>(values: T, at: number, value: number) => {
    const copy = values.slice() as T;
    copy[at] = value;
    return copy;
  };
  const { queries, documents, positives, owners, duplicates, teacherScores, teacherDocuments } = batch;
  const wrong: [string, string, object][] = [
    [
      'a token beyond the vocabulary',
      'ERR_TOKEN_RANGE',
      { queries: { ...queries, tokens: changed(queries.tokens, 0, 53) } },
    ],
    ['a negative token', 'ERR_TOKEN_RANGE', { documents: { ...documents, tokens: changed(documents.tokens, 0, -1) } }],
    ['offsets that go back', 'ERR_LENGTH_RANGE', { queries: { ...queries, offsets: changed(queries.offsets, 2, 1) } }],
    [
      'offsets beyond the tokens',
      'ERR_BATCH_OFFSETS',
      { queries: { ...queries, offsets: changed(queries.offsets, 3, 99) } },
    ],
    ['a text without tokens', 'ERR_LENGTH_RANGE', { queries: { ...queries, offsets: changed(queries.offsets, 1, 0) } }],
    ['no query', 'ERR_BATCH_SIZE', { queries: textsOf([]) }],
    ['no document', 'ERR_BATCH_SIZE', { documents: textsOf([]) }],
    ['a positive that is no document', 'ERR_BATCH_POSITIVE', { positives: changed(positives, 0, 9) }],
    ['a positive of another query', 'ERR_BATCH_POSITIVE', { positives: changed(positives, 0, 3) }],
    ['too few positives', 'ERR_BATCH_SIZE', { positives: positives.subarray(1) }],
    ['an owner that is no query', 'ERR_BATCH_OWNER', { owners: changed(owners, 4, 3) }],
    ['a duplicate that comes later', 'ERR_BATCH_DUPLICATE', { duplicates: changed(duplicates, 2, 3) }],
    ['a duplicate of a duplicate', 'ERR_BATCH_DUPLICATE', { duplicates: changed(duplicates, 8, 4) }],
    ['half a pair that is excluded', 'ERR_BATCH_SIZE', { excluded: Int32Array.of(0) }],
    ['an excluded document that is not there', 'ERR_BATCH_EXCLUDED', { excluded: Int32Array.of(0, 9) }],
    ['a query that is not there excludes', 'ERR_BATCH_EXCLUDED', { excluded: Int32Array.of(3, 1) }],
    ['a positive that is excluded', 'ERR_BATCH_EXCLUDED', { excluded: Int32Array.of(0, 1, 0, 0) }],
    [
      'an infinite score of the teacher',
      'ERR_TEACHER_SCORES',
      { teacherScores: changed(teacherScores!, 2, Number.POSITIVE_INFINITY) },
    ],
    ['too few scores of the teacher', 'ERR_BATCH_SIZE', { teacherScores: teacherScores!.subarray(1) }],
    ['no score of the teacher', 'ERR_TEACHER_MISSING', { teacherScores: undefined }],
    ['no vector of the teacher', 'ERR_TEACHER_MISSING', { teacherQueries: undefined }],
    [
      'a term of the teacher beyond the vocabulary',
      'ERR_TEACHER_VECTORS',
      { teacherDocuments: { ...teacherDocuments, terms: teacherDocuments!.terms.map(() => 53) } },
    ],
    [
      'terms of the teacher that do not ascend',
      'ERR_TEACHER_VECTORS',
      { teacherDocuments: { ...teacherDocuments, terms: teacherDocuments!.terms.map(() => 7) } },
    ],
    [
      'a weight of the teacher that is no number',
      'ERR_TEACHER_VECTORS',
      { teacherDocuments: { ...teacherDocuments, weights: teacherDocuments!.weights.map(() => Number.NaN) } },
    ],
    [
      'rows of the teacher for other texts',
      'ERR_TEACHER_VECTORS',
      { teacherDocuments: { ...teacherDocuments, offsets: teacherDocuments!.offsets.subarray(1) } },
    ],
  ];

  test.each(wrong)('%s', async (_, code, changes) => {
    const trainer = await create();
    await expect(trainer.step({ ...batch, ...changes }, objective, update)).rejects.toMatchObject({ code });
    expect(trainer.steps).toBe(0);
  });

  test('weights of terms of another vocabulary', async () => {
    const flopsQueries = { ...objective.flopsQueries, termWeights: new Float32Array(52) };
    const trainer = await create();
    await expect(trainer.step(batch, { ...objective, flopsQueries }, update)).rejects.toMatchObject({
      code: 'ERR_BATCH_SIZE',
    });
  });

  test('labels of another length, beyond the vocabulary, or none at all', async () => {
    const trainer = await create();
    const code = (labels: Int32Array) =>
      trainer.stepMaskedLanguageModel({ ...documents, labels }, update).catch((error) => error.code);
    expect(await code(fixture.labels.subarray(1))).toBe('ERR_BATCH_SIZE');
    expect(await code(changed(fixture.labels, 0, 53))).toBe('ERR_BATCH_LABELS');
    expect(await code(changed(fixture.labels, 0, -2))).toBe('ERR_BATCH_LABELS');
    expect(await code(fixture.labels.map(() => -1))).toBe('ERR_BATCH_LABELS');
  });

  test('pooled values or gradients of other texts', async () => {
    const trainer = await create();
    const texts = joined(batch.queries, batch.documents);
    await expect(trainer.encode(texts, Int32Array.of(0))).rejects.toMatchObject({ code: 'ERR_BATCH_SIZE' });
    const pooled = await trainer.encode(
      texts,
      Int32Array.from({ length: 12 }, (_, i) => i),
    );
    await expect(trainer.losses(batch, objective, pooled.subarray(1))).rejects.toMatchObject({
      code: 'ERR_BATCH_SIZE',
    });
    await expect(trainer.backward(pooled.subarray(1))).rejects.toMatchObject({ code: 'ERR_BATCH_SIZE' });
    await expect(trainer.addGradients(pooled.subarray(1))).rejects.toMatchObject({ code: 'ERR_BATCH_SIZE' });
  });

  test('gradients of texts that were not encoded with these weights', async () => {
    const trainer = await create();
    const refused = async () =>
      expect(trainer.backward(gradients)).rejects.toMatchObject({
        code: 'ERR_BATCH_SIZE',
        message: expect.stringContaining('encode them first'),
      });
    const gradients = new Float32Array(0);
    await refused();
    await trainer.step(batch, objective, update);
    await refused();
    await trainer.stepMaskedLanguageModel({ ...documents, labels: fixture.labels }, update);
    await refused();
  });
});

test('a term that is not known, and options out of range, are refused by name', async () => {
  const trainer = await create();
  const step = (changes: object, updates: object = {}) =>
    Promise.resolve()
      .then(() => trainer.step(batch, { ...objective, ...changes }, { ...update, ...updates }))
      .catch((error) => error.message);
  expect(await step({ weights: { infoNce: 1 } })).toContain('infoNce');
  expect(await step({ weights: { infoNCE: -1 } })).toContain('infoNCE is -1');
  expect(await step({ temperature: 0 })).toContain('temperature is 0');
  expect(await step({}, { beta2: 1 })).toContain('beta2 is 1');
  await expect(create({ dropout: 1 })).rejects.toMatchObject({ code: 'ERR_OPTION_RANGE' });
  await expect(create({ microBatchTokens: 0 })).rejects.toMatchObject({ code: 'ERR_OPTION_RANGE' });
  await expect(trainer.lowerBias(Number.NaN)).rejects.toMatchObject({ code: 'ERR_OPTION_RANGE' });
});
