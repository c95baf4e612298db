import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readLog } from '../../lib/train/run-log';
import { Trainer } from '../../lib/train/trainer';
import { readSafetensors } from '../support/fixtures';
import { tinyRun } from './tiny-run';

const bias = async (folder: string) => readSafetensors(join(folder, 'model.safetensors')).get('cls.predictions.bias')!;

/** One step that changes no weight, so that what is left of the model is what it began with. */
async function begun(startTerms: number | null) {
  const tiny = await tinyRun();
  const changes = {
    steps: 1,
    network: { startTerms, dropout: 0, attentionDropout: 0 },
    optimizer: { rate: 0 },
    batch: { queries: 32, negatives: 0 },
  };
  const config = tiny.config('out', changes);
  const result = await new Trainer(config).run();
  const before = await bias(tiny.model);
  const after = await bias(result.output);
  const shifts = Array.from(after.values, (value, term) => before.values[term]! - value);
  const lines = await readLog(join(result.output, 'metrics.jsonl'));
  const notes = lines.flatMap((line) => (line.kind === 'note' ? [line.text] : []));
  return { terms: result.nnz!.documents, shifts, notes, tiny, config };
}

describe('network.startTerms', () => {
  test('lowers all biases by one number, to the terms asked', async () => {
    const free = await begun(null);
    expect(free.terms).toBeGreaterThan(30);
    expect(new Set(free.shifts)).toEqual(new Set([0]));
    const { terms, shifts, notes } = await begun(12);
    expect(terms).toBeGreaterThan(11);
    expect(terms).toBeLessThan(13);
    expect(shifts[0]).toBeGreaterThan(0);
    expect(new Set(shifts.map((shift) => shift.toPrecision(4))).size).toBe(1);
    expect(notes.join()).toMatch(/documents had \d+ terms; the bias of all terms was lowered by 0\.\d+/);
  });

  test('leaves a model alone that has no more', async () => {
    const { shifts, notes } = await begun(120);
    expect(new Set(shifts)).toEqual(new Set([0]));
    expect(notes.join()).toMatch(/documents have \d+ terms, no more than network.startTerms, 120/);
  });

  test('is done once: a run that goes on keeps what it has', async () => {
    const { tiny, config, shifts } = await begun(12);
    const [before, after] = [await bias(tiny.model), await bias(join(tiny.folder, 'out'))];
    await new Trainer({ ...config, checkpoint: { every: 1 } }).run({ resume: true });
    expect(await bias(join(tiny.folder, 'out'))).toEqual(after);
    expect(before.values[0]! - after.values[0]!).toBe(shifts[0]);
  });

  test('is refused with a pooling whose terms are no matter of the bias alone', async () => {
    const tiny = await tinyRun();
    const config = tiny.config('out', { network: { startTerms: 12, pooling: 'sum' } });
    await expect(new Trainer(config).run()).rejects.toMatchObject({ code: 'ERR_CONFIG_CONFLICT' });
  });
});
