import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fles, jsonLines, library, tinyModel } from '../cli/run-fles';
import { temporaryFolder } from '../cli/temporary';
import { readSafetensors } from '../support/fixtures';
import { tinyRun } from '../train/tiny-run';

// The whole way from the command line, once each: dist/ on the device that is there.

test('fles train on cuda comes to the weights of the CPU', async () => {
  const { folder, model, data, dev } = await tinyRun();
  const settings = {
    steps: 4,
    'batch.queries': 8,
    'batch.negatives': 1,
    'text.queryLength': 16,
    'text.documentLength': 16,
    'clfr.target': 50,
    'evaluation.data': dev,
    'evaluation.split': 'dev',
  };
  const train = async (device: string) => {
    const output = join(folder, device);
    const all = Object.entries({ ...settings, 'network.device': device });
    const set = all.flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const { code, stderr } = await fles(['train', '--model', model, '--data', data, '--output', output, ...set]);
    expect(code, stderr).toBe(0);
    return readSafetensors(join(output, 'model.safetensors'));
  };
  const [expected, actual] = [await train('cpu'), await train('cuda')];
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  for (const [name, { values }] of expected) {
    if (name.endsWith('key.bias')) continue; // their gradient is rounding alone
    const norm = Math.hypot(...values);
    const difference = Math.hypot(...values.map((value, i) => value - actual.get(name)!.values[i]!));
    expect(difference, name).toBeLessThan(1e-3 * norm);
  }
});

test('fles encode and fles eval on cuda come to what the CPU does', async () => {
  const folder = await temporaryFolder();
  const encode = async (device: string) => {
    const args = ['--model', tinyModel, '--input', join(library, 'queries.jsonl'), '--output', '-'];
    const { code, stdout, stderr } = await fles(['encode', ...args, '--device', device]);
    expect(code, stderr).toBe(0);
    return jsonLines(stdout);
  };
  const [expected, actual] = [await encode('cpu'), await encode('cuda')];
  expect(actual).toHaveLength(expected.length);
  for (const [i, { id, vector }] of expected.entries()) {
    expect(actual[i].id).toBe(id);
    for (const [term, weight] of Object.entries<number>(vector)) {
      // Terms of nearly no weight may be there on one alone.
      expect(actual[i].vector[term] ?? 0, `${id} ${term}`).toBeCloseTo(weight, 3);
    }
  }

  const evaluate = async (device: string) => {
    const output = join(folder, device);
    const args = ['--data', library, '--systems', `tiny=${tinyModel}`, '--output', output, '--device', device];
    const { code, stderr } = await fles(['eval', ...args]);
    expect(code, stderr).toBe(0);
    const { rows } = JSON.parse(await readFile(join(output, 'report.json'), 'utf8'));
    return rows[0].metrics as Record<string, number>;
  };
  const [metrics, onCuda] = [await evaluate('cpu'), await evaluate('cuda')];
  expect(Object.keys(metrics)).toContain('ndcg_cut_10');
  for (const [name, value] of Object.entries(metrics)) expect(onCuda[name], name).toBeCloseTo(value, 2);
});
