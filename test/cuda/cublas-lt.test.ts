import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import { inProcess } from './children';

// Which products of linear cuBLASLt does together with what follows them, in processes of their own: the emulated device
// reads its variables once. That they are right is for test/ops/linear.test.ts, and without cuBLASLt for
// without-cublas-lt.test.ts.
const folder = mkdtempSync(join(tmpdir(), 'fles-cublas-lt-'));
afterAll(() => rmSync(folder, { recursive: true }));

const cuda = native.platform().backends.find(({ name }) => name === 'cuda');
let logs = 0;

/** What linear gives on the emulated device for each of the arguments, and what it has asked of the device meanwhile. */
function run(all: object[], variables: Record<string, string> = {}): { outs: number[][]; asked: string[][] } {
  const log = join(folder, `log ${++logs}`);
  const { outs, ends } = inProcess<{ outs: number[][]; ends: number[] }>(
    { FLES_TF32: '0', ...variables, FLES_EMULATE_LOG: log },
    `const lines = () => require('node:fs').readFileSync(process.env.FLES_EMULATE_LOG, 'utf8').split('\\n').length - 1;
    const values = (length, scale) => Float32Array.from({ length }, (_, i) => Math.sin(i * scale));
    const [outs, ends] = [[], []];
    for (const { bias, residual, ...given } of ${JSON.stringify(all)}) {
      const { T, N, K } = given;
      const out = new Float32Array(T * N);
      native.runOp('cuda', 'linear', {
        ...{ dtype: 'float32', activation: 'none', ...given, out },
        ...{ in: values(T * K, 1.1), weight: values(N * K, 1.7) },
        ...{ bias: bias ? values(N, 0.3) : null, residual: residual ? values(T * N, 0.7) : null },
      });
      outs.push(Array.from(out));
      ends.push(lines());
    }
    console.log(JSON.stringify({ outs, ends }));`,
  );
  const lines = readFileSync(log, 'utf8').split('\n');
  const what = (line: string) => line.slice(line.indexOf(' ') + 1);
  return { outs, asked: ends.map((end, i) => lines.slice(ends[i - 1] ?? 0, end).map(what)) };
}

/** The product, and the kernels after it. */
function work(asked: string[]): string[] {
  const all = asked.filter((one) => one === 'launch' || one.startsWith('multiply'));
  return all.slice(all.findIndex((one) => one !== 'launch'));
}
const count = (asked: string[], line: string) => asked.filter((one) => one === line).length;

const shape = { T: 9, N: 40, K: 12 };
const [NONE, RELU, BIAS, RELU_BIAS, GELU, GELU_BIAS] = [1, 2, 4, 6, 32, 36];
const fused = (epilogue: number) => `multiply with epilogue ${epilogue}`;
const parts = [
  { bias: true },
  { residual: true },
  { bias: true, residual: true },
  { activation: 'relu' },
  { bias: true, activation: 'relu', residual: true },
  { bias: true, activation: 'gelu' },
  { bias: true, activation: 'gelu_new' },
];

describe.skipIf(!cuda?.description.startsWith('emulated'))('cuBLASLt on cuda', () => {
  test.each([
    ['a bias', { bias: true }, [fused(BIAS)]],
    ['a residual', { residual: true }, [fused(NONE)]],
    ['both', { bias: true, residual: true }, [fused(BIAS)]],
    ['both in bfloat16', { dtype: 'bfloat16', bias: true, residual: true }, [fused(BIAS)]],
    ['relu', { activation: 'relu' }, [fused(RELU)]],
    ['a bias and relu', { bias: true, activation: 'relu' }, [fused(RELU_BIAS)]],
    // What comes after an activation, and erf, are not cuBLASLt's, nor are whole numbers.
    ['relu, then a residual', { bias: true, activation: 'relu', residual: true }, [fused(RELU_BIAS), 'launch']],
    ['gelu', { bias: true, activation: 'gelu' }, [fused(BIAS), 'launch']],
    ['gelu_new where every bit counts', { bias: true, activation: 'gelu_new' }, [fused(BIAS), 'launch']],
    ['int8', { dtype: 'int8', bias: true }, ['multiply', 'launch']],
    ['nothing', {}, ['multiply']],
  ])('does of what follows a product what is its own: %s', (_, more, expected) => {
    const { asked } = run([{ ...shape, ...more }]);
    expect(work(asked[0]!)).toEqual(expected);
  });

  test('does gelu_new where TF32 may round, with the values of the kernel that does it elsewhere', () => {
    const all = ['float32', 'bfloat16'].flatMap((dtype) =>
      [true, false].map((bias) => ({ ...shape, dtype, bias, activation: 'gelu_new' })),
    );
    const { outs, asked } = run(all, { FLES_TF32: '1' });
    expect(asked.map(work)).toEqual([[fused(GELU_BIAS)], [fused(GELU)], [fused(GELU_BIAS)], [fused(GELU)]]);
    const { outs: others } = run(all, { FLES_TF32: '1', FLES_EMULATE_CUBLASLT: 'absent' });
    for (const [i, out] of outs.entries())
      for (const [j, value] of out.entries()) expect(value).toBeCloseTo(others[i]![j]!, 5);
  });

  const states = ['absent', 'unable', 'older', 'refusing'];
  test.each(states)('is done without where it is %s, with the same values', (state) => {
    const all = ['float32', 'bfloat16'].flatMap((dtype) => parts.map((one) => ({ ...shape, dtype, ...one })));
    const { outs, asked } = run(all, { FLES_EMULATE_CUBLASLT: state });
    for (const one of asked) expect(work(one).slice(0, 2)).toEqual(['multiply', 'launch']);
    const { outs: expected } = run(all);
    for (const [i, out] of outs.entries())
      for (const [j, value] of out.entries()) expect(value).toBeCloseTo(expected[i]![j]!, 5);
  });

  test('is asked for an algorithm once a shape, also where it has none or refuses it', () => {
    for (const state of ['present', 'unable', 'refusing']) {
      const { asked } = run(
        [0, 1, 2].map(() => ({ ...shape, bias: true })),
        { FLES_EMULATE_CUBLASLT: state },
      );
      expect(asked.map((lines) => count(lines, 'find algorithms'))).toEqual([1, 0, 0]);
      expect(asked.map((lines) => count(lines, 'create matmul'))).toEqual([1, 0, 0]);
    }
  });

  test('is not asked for an algorithm with an epilogue that it does not know', () => {
    const { asked } = run([{ ...shape, bias: true }], { FLES_EMULATE_CUBLASLT: 'older' });
    expect(count(asked[0]!, 'create matmul')).toBe(1);
    expect(count(asked[0]!, 'find algorithms')).toBe(0);
  });

  test('plans no more shapes than are kept, and keeps those in use', () => {
    const often = { T: 9, N: 1, K: 4, bias: true };
    const { asked } = run(Array.from({ length: 150 }, (_, i) => [{ ...often, T: 10 + i }, often]).flat());
    const lines = asked.flat();
    expect(count(lines, 'create matmul')).toBe(151);
    for (const [kind, each] of [
      ['matmul', 1],
      ['layout', 3],
    ] as const) {
      expect(count(lines, `create ${kind}`) - count(lines, `destroy ${kind}`)).toBe(64 * each);
    }
  });
});
