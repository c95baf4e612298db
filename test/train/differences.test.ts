import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readSafetensorsHeader } from '../../lib/model/safetensors';
import { writeSafetensors } from '../../lib/model/write-safetensors';
import type { NativeTrainer } from '../../lib/native';
import {
  byName,
  countOf,
  createTrainer,
  encodedTexts,
  norm,
  readTrainingFixture,
  type TrainingFixture,
  weightsOf,
} from './training-fixture';

// Where PyTorch's fixtures do not go, dropout and a decoder of its own, the gradient of each tensor is compared with how the loss
// changes along it. Masks are a function of seed, step and place, so that they stay while weights move.
const folder = mkdtempSync(join(tmpdir(), 'fles-differences-'));
afterAll(() => rmSync(folder, { recursive: true }));

const DROPOUT = { dropout: 0.2, attentionDropout: 0.3 };
const UNTIED = join(__dirname, '..', 'fixtures', 'models', 'bert-untied');

/** Sets the weights and clears the moments. */
async function setWeights(trainer: NativeTrainer, weights: ReadonlyMap<string, Float32Array>): Promise<void> {
  const path = join(folder, 'state.safetensors');
  const tensors = ['weights', 'first', 'second'].flatMap((part) =>
    trainer.tensors.map(({ name, shape }) => {
      const values = weights.get(name)!;
      return { name: `${part}/${name}`, shape, values: part === 'weights' ? values : new Float32Array(values.length) };
    }),
  );
  await writeSafetensors(path, tensors);
  const places = [...(await readSafetensorsHeader(path)).values()];
  await trainer.load(
    [path],
    places.map(({ name, shape, offset }) => ({ name, shape, offset, file: 0, dtype: 'F32' as const })),
    0,
  );
}

async function expectGradientsOfDifferences(
  fixture: Pick<TrainingFixture, 'directory' | 'options' | 'batch' | 'steps'>,
  pooling: 'max' | 'sum' | 'mean',
): Promise<string[]> {
  const trainer = await createTrainer(fixture, { pooling, ...DROPOUT });
  const texts = encodedTexts(fixture.batch, 'encoder');
  const ids = Int32Array.from({ length: countOf(texts) }, (_, i) => i);
  const { objective } = fixture.steps;
  const weights: typeof objective.weights = pooling === 'mean' ? { infoNCE: 1, klDivergence: 0.4 } : objective.weights;
  const losses = async () => trainer.losses(fixture.batch, { ...objective, weights }, await trainer.encode(texts, ids));
  await trainer.backward((await losses()).gradients);
  const gradients = byName(trainer, await trainer.gradients());
  const before = await weightsOf(trainer);
  const wrong: string[] = [];
  for (const [name, gradient] of gradients) {
    const length = norm(gradient);
    // A key's bias cancels in the softmax, but for rounding.
    if (length < 1e-4) {
      expect(name).toMatch(/key\.bias$/);
      continue;
    }
    const along = async (step: number) => {
      const moved = before.get(name)!.map((value, i) => value + (step * gradient[i]!) / length);
      await setWeights(trainer, new Map([...before, [name, moved]]));
      return (await losses()).loss;
    };
    const ratios: number[] = [];
    // Rounding is worse with the small step, a maximum that passes to another token with the large one.
    for (const step of [2e-3, 5e-4]) ratios.push(((await along(step)) - (await along(-step))) / (2 * step) / length);
    if (!ratios.some((ratio) => Math.abs(ratio - 1) < 0.03)) wrong.push(`${name}: ${ratios}`);
  }
  trainer.dispose();
  return wrong;
}

describe('with dropout, the loss changes along the gradient of each tensor as the gradient says', () => {
  test.each([
    ['bert', 'max'],
    ['bert', 'mean'],
    ['distilbert', 'sum'],
  ] as const)('%s, %s', async (model, pooling) => {
    expect(await expectGradientsOfDifferences(await readTrainingFixture(model), pooling)).toEqual([]);
  });

  // Some of its terms have the same logit at every token, at which a maximum has no derivative.
  test('a decoder that is not tied, sum', async () => {
    const fixture = await readTrainingFixture('bert');
    expect(await expectGradientsOfDifferences({ ...fixture, directory: UNTIED }, 'sum')).toEqual([]);
  });
});
