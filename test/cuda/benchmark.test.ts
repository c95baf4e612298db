import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { native } from '../../lib/native';

const root = join(__dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'fles-benchmark-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the benchmark with a CUDA library of the folder build-cuda-emulated; its random model is made in `folder`. */
async function bench(library: string, ...options: string[]) {
  const env = {
    ...process.env,
    FLES_CUDA_LIBRARY: join(root, 'build-cuda-emulated', library),
    FLES_TF32: '1',
    TMPDIR: folder,
  };
  const args = [join(root, 'bench/device.bench.mjs'), ...options];
  try {
    await promisify(execFile)(process.execPath, args, { env });
    return { status: 0, errors: '' };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { status: code, errors: stderr };
  }
}

interface Row {
  name: string;
  op?: string;
  type: string;
  predicted: { milliseconds: number; launches: number; bound: string };
  [key: string]: unknown;
}

describe('the benchmark of an emulated cuda device', () => {
  const file = join(folder, 'benchmark.json');
  let text: string;
  let report: { [key: string]: unknown; ops: Row[]; encode: Row[]; train: Row[] };
  beforeAll(async () => {
    expect(await bench('fles-cuda-emulated.so', '--device', 'cuda', '--tiny', '--json', file)).toEqual({
      status: 0,
      errors: '',
    });
    text = readFileSync(file, 'utf8');
    report = JSON.parse(text);
  });

  test('says that nothing was measured on cuda', () => {
    expect(report).toMatchObject({ device: 'cuda', emulated: true, size: 'tiny', tf32: true });
    expect(report.description).toMatch(/^emulated device, compute capability 8\.0/);
    expect(report.note).toMatch(/no time here is a measurement/);
    expect(text).not.toContain('"measured"');
  });

  test('runs every op, the encoder in every type and a training step in micro-batches on cuda', () => {
    expect([...new Set(report.ops.map(({ op }) => op))].sort()).toEqual([...native.opNames()].sort());
    expect(report.encode.map(({ type }) => type)).toEqual(['float32', 'bfloat16', 'int8']);
    expect(report.train.map(({ type }) => type)).toEqual(['float32', 'bfloat16']);
    for (const row of report.train) expect(row).toMatchObject({ tokens: 80, microBatchTokens: 48, microBatches: 2 });
  });

  test('has a prediction beside each time of cuda', () => {
    expect(report.predictor).toEqual({
      status: 'PREDICTED, not measured',
      device: 'A100 80 GB SXM',
      exact: false,
    });
    for (const row of [...report.ops, ...report.encode, ...report.train]) {
      expect(row, row.name).toMatchObject({
        name: expect.any(String),
        emulated: {
          milliseconds: expect.any(Number),
          low: expect.any(Number),
          high: expect.any(Number),
          samples: 2,
          runsOfSample: 1,
        },
        predicted: {
          milliseconds: expect.any(Number),
          launches: expect.any(Number),
          bound: expect.any(String),
        },
        ratio: null,
      });
      expect(row.predicted.milliseconds, row.name).toBeGreaterThan(0);
    }
  });
});

test('the benchmark says why there is no cuda device', async () => {
  const { status, errors } = await bench('missing.so', '--device', 'cuda', '--tiny');
  expect(status).toBe(1);
  expect(errors).toMatch(/^error: ERR_DEVICE_UNAVAILABLE device is "cuda": .*missing\.so/);
});

test('the benchmark refuses a device other than cpu and cuda', async () => {
  const { status, errors } = await bench('missing.so', '--device', 'gpu');
  expect(status).toBe(1);
  expect(errors).toBe('error: ERR_USAGE --device is "gpu", expected cpu | cuda | cuda:N\n');
});
