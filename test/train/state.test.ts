import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readModel } from '../../lib/model/model';
import { readSafetensorsHeader } from '../../lib/model/safetensors';
import type { TensorPlace } from '../../lib/model/spec';
import { type NativeTrainer, type NativeTrainerOptions, native } from '../../lib/native';
import { createTrainer, norm, readTrainingFixture, saveParts, weightsOf } from './training-fixture';

const fixture = await readTrainingFixture('bert');
const { batch } = fixture;
const { objective, update } = fixture.steps;
const dropout = { dropout: 0.2, attentionDropout: 0.3 };

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fles-state-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const trainers: NativeTrainer[] = [];
afterAll(() => {
  for (const trainer of trainers) trainer.dispose();
});
async function create(changes: Partial<NativeTrainerOptions> = {}, model = fixture): Promise<NativeTrainer> {
  const trainer = await createTrainer(model, changes);
  trainers.push(trainer);
  return trainer;
}

/** The tensors of a file as the core is told of them. */
async function placesIn(path: string): Promise<TensorPlace[]> {
  const header = await readSafetensorsHeader(path);
  return [...header.values()].map(({ name, shape, offset }) => ({ name, shape, offset, file: 0, dtype: 'F32' }));
}

async function run(trainer: NativeTrainer, steps: number): Promise<void> {
  for (let i = 0; i < steps; i++) await trainer.step(batch, objective, update);
}

async function savedAfter(steps: number): Promise<{ path: string; places: TensorPlace[] }> {
  const trainer = await create(dropout);
  await run(trainer, steps);
  const path = join(directory, 'state.safetensors');
  await saveParts(trainer, path);
  return { path, places: await placesIn(path) };
}

test('a run that goes on from a file ends with the bits of one that never stopped', async () => {
  const whole = await create(dropout);
  await run(whole, 5);
  const { path, places } = await savedAfter(3);
  const resumed = await create({ ...dropout });
  await resumed.load([path], places, 3);
  expect(resumed.steps).toBe(3);
  await run(resumed, 2);
  expect(await weightsOf(resumed)).toEqual(await weightsOf(whole));
});

test('saving leaves one file, which safetensors readers take', async () => {
  const { path, places } = await savedAfter(1);
  expect(readdirSync(directory)).toEqual(['state.safetensors']);
  const trainer = await create();
  expect(places.map(({ name }) => name)).toEqual(
    ['weights', 'first', 'second'].flatMap((part) => trainer.tensors.map(({ name }) => `${part}/${name}`)),
  );
  expect(readFileSync(path).length).toBeGreaterThan(3 * 4 * 5000);
});

test('a file that cannot be written leaves what was there, and nothing else', async () => {
  const trainer = await create();
  const path = join(directory, 'state.safetensors');
  writeFileSync(path, 'before');
  await expect(trainer.save(join(directory, 'absent', 'state'), '{}', [])).rejects.toMatchObject({
    code: 'ERR_FILE_NOT_FOUND',
  });
  await expect(trainer.save(path, '{}', ['weights/absent'])).rejects.toMatchObject({ code: 'ERR_TENSOR_MISSING' });
  await expect(trainer.save(path, '{}', ['moments/head.bias'])).rejects.toMatchObject({ code: 'ERR_ARGUMENT_VALUE' });
  expect(readFileSync(path, 'utf8')).toBe('before');
  expect(readdirSync(directory)).toEqual(['state.safetensors']);
});

describe('a state that does not fit is refused, naming the file, and another can be loaded:', () => {
  async function refused(change: (path: string, places: TensorPlace[]) => TensorPlace[]) {
    const { path, places } = await savedAfter(2);
    const damaged = join(directory, 'damaged.safetensors');
    copyFileSync(path, damaged);
    const trainer = await create(dropout);
    const changed = change(damaged, structuredClone(places));
    const error = await trainer.load([damaged], changed, 2).then(
      () => undefined,
      (error) => error,
    );
    expect(error?.message).toContain(damaged);
    expect(trainer.steps).toBe(0);
    await trainer.load([path], places, 2);
    const other = await create(dropout);
    await other.load([path], places, 2);
    expect(await weightsOf(trainer)).toEqual(await weightsOf(other));
    return error;
  }

  test('one that is cut off', async () => {
    const error = await refused((path, places) => {
      truncateSync(path, readFileSync(path).length - 4);
      return places;
    });
    expect(error.code).toBe('ERR_FILE_TRUNCATED');
  });

  test('one without a tensor', async () => {
    const error = await refused((_, places) => places.filter(({ name }) => name !== 'second/head.bias'));
    expect(error).toMatchObject({ code: 'ERR_TENSOR_MISSING', message: expect.stringContaining('second/head.bias') });
  });

  test('one with a tensor of another shape', async () => {
    const error = await refused((_, places) => {
      places.find(({ name }) => name === 'first/head.bias')!.shape = [52];
      return places;
    });
    expect(error).toMatchObject({ code: 'ERR_TENSOR_SHAPE', message: expect.stringContaining('first/head.bias') });
  });

  test('one with a value that is no number', async () => {
    const error = await refused((path, places) => {
      const bytes = readFileSync(path);
      bytes.writeFloatLE(Number.NaN, places.find(({ name }) => name === 'second/head.bias')!.offset);
      writeFileSync(path, bytes);
      return places;
    });
    expect(error.code).toBe('ERR_WEIGHT_NOT_FINITE');
  });

  test('one of another model', async () => {
    const { batch: _, ...distilbert } = await readTrainingFixture('distilbert');
    const other = await create({}, distilbert as typeof fixture);
    const path = join(directory, 'other.safetensors');
    await saveParts(other, path);
    const trainer = await create();
    const error = await trainer.load([path], await placesIn(path), 0).catch((error) => error);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^ERR_TENSOR_/),
      message: expect.stringContaining(path),
    });
  });
});

describe('tensors that the source does not have', () => {
  async function createWithout(absent: RegExp, changes: Partial<NativeTrainerOptions>) {
    const { config, files, tensors } = await readModel(fixture.directory);
    const kept = tensors.filter(({ name }) => !absent.test(name));
    const trainer = await native.NativeTrainer.create(
      { device: 'cpu', config, dtype: 'float32', withHead: true, files: kept.length > 0 ? files : [], tensors: kept },
      {
        seed: 1,
        dropout: 0,
        attentionDropout: 0,
        dtype: 'float32',
        pooling: 'max',
        queryKind: 'encoder',
        microBatchTokens: 4096,
        keptLayers: 2,
        initialize: 'none',
        dropped: new Int32Array(),
        bagDropped: new Int32Array(),
        ...changes,
      },
    );
    trainers.push(trainer);
    return trainer;
  }

  test('are missed, unless they may begin at random', async () => {
    await expect(createWithout(/^head/, {})).rejects.toMatchObject({ code: 'ERR_TENSOR_MISSING' });
    await expect(createWithout(/^layers\.1/, { initialize: 'head' })).rejects.toMatchObject({
      code: 'ERR_TENSOR_MISSING',
    });
  });

  test('a head begins with a random transform, LayerNorm 1 and biases 0, and the decoder is the word embeddings', async () => {
    const trainer = await createWithout(/^head/, { initialize: 'head' });
    const weights = await weightsOf(trainer);
    const given = await weightsOf(await create());
    expect(weights.get('embeddings.word.weight')).toEqual(given.get('embeddings.word.weight'));
    expect(weights.has('head.decoder.weight')).toBe(false);
    const of = (name: string) => new Set(weights.get(name));
    expect([of('head.norm.weight'), of('head.norm.bias'), of('head.bias'), of('head.transform.bias')]).toEqual(
      [1, 0, 0, 0].map((value) => new Set([value])),
    );
    // 256 draws of deviation 0.02: their root mean square is within 4 standard errors, 4 / sqrt(512) of it.
    const transform = weights.get('head.transform.weight')!;
    expect(Math.abs(norm(transform) / Math.sqrt(transform.length) / 0.02 - 1)).toBeLessThan(0.18);
  });

  test('a model without any weights learns, the same from the same seed', async () => {
    const learn = async (seed: number) => {
      const trainer = await createWithout(/./, { initialize: 'all', seed });
      const masked = { ...batch.documents, labels: fixture.labels };
      const losses: number[] = [];
      for (let i = 0; i < 30; i++) {
        losses.push((await trainer.stepMaskedLanguageModel(masked, { ...update, rate: 1e-2 })).loss);
      }
      // Nothing is known at first: 53 terms are equally likely.
      expect(losses[0]!).toBeCloseTo(Math.log(53), 1);
      expect(losses.at(-1)!).toBeLessThan(0.5 * losses[0]!);
      return weightsOf(trainer);
    };
    const weights = await learn(7);
    expect(await learn(7)).toEqual(weights);
    expect(await learn(8)).not.toEqual(weights);
  });
});
