import { expect, test } from 'vitest';
// @ts-expect-error a module without types
import { headScratch, launchesOf } from '../bench/support/cuda-kernels.mjs';
import {
  automaticTokens,
  BERT_BASE,
  encodeBatch,
  parametersOf,
  times,
  trainingStep,
  // @ts-expect-error a module without types
} from '../bench/support/cuda-steps.mjs';
// @ts-expect-error a module without types
import { opCases, SIZES } from '../bench/support/device-cases.mjs';
// @ts-expect-error a module without types
import { beside, predictorFor } from '../bench/support/predictions.mjs';
import {
  clockOf,
  DEVICES,
  deviceFor,
  imbalance,
  LAUNCH,
  operationsOf,
  peakOf,
  timeOf,
  // @ts-expect-error a module without types
} from '../bench/support/roofline-model.mjs';
import { kernels as budgets } from '../cuda/budgets.json';

const { A100, H100, H200 } = DEVICES;
const step = (options: object) => trainingStep({ type: 'float32', activeTerms: 933, ...options });
const countOf = ({ ops }: { ops: { op: string }[] }, name: string) => ops.filter(({ op }) => op === name).length;

test('peaks follow from the data sheets', () => {
  expect(clockOf(A100) / 1e9).toBeCloseTo(1.4106, 4); // 19.5e12 / (108 x 64 x 2)
  expect(clockOf(H100) / 1e9).toBeCloseTo(1.9827, 4); // 67e12 / (132 x 128 x 2)
  expect(peakOf(A100, 'shared') / 1e12).toBeCloseTo(19.5, 6); // 108 x 128 bytes a cycle
  expect(peakOf(A100, 'issue') / 1e9).toBeCloseTo(609.375, 6); // 108 x 4 a cycle
});

test('the unit that needs most time bounds a launch', () => {
  const launch = { dram: 2039e9 * 0.8, tf32: 156e12 * 0.5, cublas: true };
  expect(timeOf(A100, launch)).toEqual({ seconds: 1 + LAUNCH, bound: 'dram', launching: LAUNCH });
  expect(timeOf(A100, { ...launch, tf32: 156e12 * 1.4 }).seconds).toBeCloseTo(2, 4);
  expect(timeOf(A100, { tf32: 156e12 * 0.75 }).seconds).toBeCloseTo(1, 4); // mma.sync of a kernel
  expect(timeOf(H100, { tf32: 494.7e12 * 0.5 }).seconds).toBeCloseTo(1, 4);
  expect(timeOf(A100, { dram: 100 })).toMatchObject({ bound: 'launch' });
  expect(timeOf(A100, { waits: true }).seconds).toBeCloseTo(14e-6, 9);
});

test('blocks that do not fill the device, and few warps, cost time', () => {
  expect(imbalance(A100, 108)).toBe(1);
  expect(imbalance(A100, 109)).toBeCloseTo(216 / 109, 9);
  expect(imbalance(A100, 54)).toBe(2);
  const issue = 609.375e9;
  expect(timeOf(A100, { issue, occupancy: { sm_80: 1 } }).seconds).toBeCloseTo(1 / 0.6, 4);
  expect(timeOf(A100, { issue, occupancy: { sm_80: 1 / 16 } }).seconds).toBeCloseTo(4, 4); // a warp a scheduler
  const serial = { blocks: 217, cycles: clockOf(A100), resident: { sm_80: 1 } }; // three rounds of a second
  expect(timeOf(A100, serial)).toMatchObject({ bound: 'latency', seconds: 3 + LAUNCH });
});

test('BERT-base has the parameters of bert-base-uncased with its masked-language-model head', () => {
  expect(parametersOf(BERT_BASE)).toBe(109_514_298);
  expect(automaticTokens(BERT_BASE, 1.85e9)).toBe(4668); // of 396,288 bytes
  expect(automaticTokens(BERT_BASE)).toBe(100_936);
});

test('a step in one micro-batch runs every product once forward and twice backward', () => {
  const model = { layers: 2, C: 64, I: 256, H: 1, V: 128, P: 16 };
  const texts = { queries: [4], documents: [6, 6] };
  const one = step({ model, ...texts, microTokens: 100 });
  expect(one).toMatchObject({ micros: 1, tokens: 16 });
  expect(countOf(one, 'linear')).toBe(4 * 2 + 1);
  expect(countOf(one, 'linear_backward')).toBe(5 * 2 + 1); // a layer's last product: weight and input one after the other
  expect(countOf(one, 'layernorm_backward')).toBe(2 * 2 + 2);
  // The transform takes the turn of the attention outputs, the decoder has a place of its own.
  expect(countOf(one, 'pack_rows')).toBe(4 * 2 + 2);

  const products = launchesOf(one.ops).filter(({ kernel }: { kernel: string }) => kernel === 'cuBLAS tf32');
  const weights = 2 * (4 * 64 * 64 + 2 * 64 * 256) + 64 * 64;
  expect(products.length).toBe(3 * 9);
  expect(products.reduce((sum: number, launch: object) => sum + operationsOf(launch), 0)).toBe(3 * 2 * 16 * weights);

  const three = step({ model, ...texts, microTokens: 6 }); // all but the last go forward twice
  expect(three.micros).toBe(3);
  expect(countOf(three, 'linear')).toBe(9 * (3 + 2));
  expect(countOf(three, 'sparse_head')).toBe(3);
});

test('every kernel that the model knows is one that has a budget', () => {
  const texts = { queries: times(2, 16), documents: times(4, 64) };
  const batches = ['float32', 'bfloat16'].map((type) => step({ ...texts, type }));
  batches.push(
    ...['float32', 'bfloat16', 'int8'].map((type) => encodeBatch({ lengths: [64, 70], type, keptTerms: 9 })),
  );
  batches.push({
    ops: opCases(SIZES['bert-base']).map(({ op, sizes }: { op: string; sizes: object }) => ({ op, ...sizes })),
  });
  const names = new Set<string>(batches.flatMap(({ ops }) => launchesOf(ops)).map(({ kernel }) => kernel));
  const own = [...names].filter((name) => name.includes('/'));
  expect(own.length).toBeGreaterThan(38);
  expect(own.filter((name) => !(name in budgets))).toEqual([]);
});

test('extra memory of the head', () => {
  const { C, V } = BERT_BASE;
  const shape = { lengths: times(32, 128), C, V };
  const rows = (type: 'float32' | 'bfloat16' | 'int8') =>
    headScratch({ ...shape, type }).forward['rows of the input in the type of the product'];
  expect(rows('float32')).toBe(0);
  expect(rows('bfloat16')).toBe(2 * 2048 * 768); // four groups of four texts: more than 4 B V bytes otherwise
  const int8 = headScratch({ ...shape, type: 'int8' });
  expect(int8.forward['groups of texts']).toBe(4 * 9);
  expect(rows('int8')).toBe(4096 * 768 + 4 * 4096);
  expect(int8.backward['terms with a gradient']).toBe(3_906_816);
});

test('a device is predicted by its own peaks, or by those of the nearest', () => {
  const described = (name: string, capability = '9.0') => `${name}, compute capability ${capability}, 80000 MiB`;
  expect(deviceFor(described('NVIDIA A100-SXM4-80GB', '8.0'))).toEqual({ device: A100, exact: true });
  expect(deviceFor(described('NVIDIA H100 80GB HBM3'))).toEqual({ device: H100, exact: true });
  expect(deviceFor(described('NVIDIA H200'))).toEqual({ device: H200, exact: true });
  expect(deviceFor(described('NVIDIA H100 PCIe'))).toEqual({ device: H100, exact: false });
  expect(deviceFor(described('NVIDIA GeForce RTX 4090', '8.9'))).toEqual({ device: A100, exact: false });
  expect(deviceFor(described('NVIDIA B200', '10.0'))).toEqual({ device: H100, exact: false });
  expect(H200).toMatchObject({ fp32: H100.fp32, tf32: H100.tf32, dram: 4800e9, architecture: 'sm_90' });
});

test('a measured time stands beside the predicted one with their ratio', () => {
  const device = 'cuda';
  const predictor = predictorFor({ device, description: 'NVIDIA H200, compute capability 9.0, 1 MiB', tf32: true });
  const ops = [{ op: 'square_sum', count: 2 ** 24 }];
  // 64 MiB at 0.8 of 4,800 GB/s, and two launches with the sum of 1024 parts.
  const milliseconds = { median: 0.05, low: 0.04, high: 0.06, runs: 9, runsOfSample: 4 };
  const measured = { milliseconds: 0.05, low: 0.04, high: 0.06, samples: 9, runsOfSample: 4 };
  const row = beside({ milliseconds, emulated: false, predictor, ops });
  expect(row).toMatchObject({ measured, predicted: { launches: 2, bound: 'dram' } });
  expect(row.predicted.milliseconds).toBeCloseTo(
    1e3 * (2 ** 26 / (0.8 * 4800e9) + 2 * LAUNCH + 1700 / clockOf(H200)),
    4,
  );
  expect(row.ratio).toBeCloseTo(0.05 / row.predicted.milliseconds, 9);

  const cpu = predictorFor({ device: 'cpu', description: '', tf32: false });
  expect(beside({ milliseconds, emulated: false, predictor: cpu, ops })).toEqual({
    measured,
    predicted: null,
    ratio: null,
  });
  expect(predictorFor({ device, description: '', tf32: false }).reason).toMatch(/FLES_TF32 is 0/);
});
