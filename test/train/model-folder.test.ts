import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FLES1Encoder } from '../../lib';
import { makeConfig } from '../../lib/train/config';
import { modelCard } from '../../lib/train/model-card';
import { Trainer } from '../../lib/train/trainer';
import { readSafetensors } from '../support/fixtures';
import { tinyRun } from './tiny-run';

const UNTIED = join(__dirname, '..', 'fixtures', 'models', 'bert-untied');

test('a decoder of its own is saved with its bias under both names, as transformers reads it', async () => {
  const tiny = await tinyRun();
  const model = join(tiny.folder, 'untied');
  await cp(UNTIED, model, { recursive: true });
  await new Trainer({ ...tiny.config('out', { steps: 2, network: { startTerms: 9 } }), model }).run();
  const output = join(tiny.folder, 'out');
  const tensors = readSafetensors(join(output, 'model.safetensors'));
  const bias = tensors.get('cls.predictions.bias')!;
  expect(tensors.get('cls.predictions.decoder.bias')).toEqual(bias);
  expect(tensors.get('cls.predictions.decoder.weight')!.shape).toEqual([bias.values.length, expect.any(Number)]);
  expect(JSON.parse(await readFile(join(output, 'config.json'), 'utf8')).tie_word_embeddings).toBe(false);
  // It loads, and the bias is not counted twice.
  const encoder = await FLES1Encoder.fromPretrained(output);
  const before = await FLES1Encoder.fromPretrained(model);
  expect(encoder.info.parameters).toBe(before.info.parameters);
  for (const opened of [encoder, before]) opened.dispose();
});

test('a folder is not taken for a model of the hub', () => {
  const config = makeConfig(undefined, {
    source: 'the test',
    changes: { model: 'models/mine', output: '/home/me/out' },
  });
  const facts = { name: 'out', config, steps: 1, adjustments: 0, fles: '0' };
  const local = modelCard({ ...facts, fromHub: false });
  expect(local).not.toContain('base_model');
  expect(local).toContain('from `mine`');
  expect(local).not.toContain('models/mine');
  expect(modelCard({ ...facts, fromHub: true })).toContain('base_model: models/mine');
});
