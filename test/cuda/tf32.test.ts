import { describe, expect, test } from 'vitest';
import {
  type OpArguments,
  offsetsOf,
  products,
  randomFloats,
  rowsStandAlone,
  runOp,
  unwritten,
} from '../support/native-ops';

// Read when the device is first used, which is below.
process.env.FLES_TF32 = '1';

/** The nearest number with 10 bits of mantissa, ties away from zero. */
function tf32(x: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, x);
  view.setUint32(0, (view.getUint32(0) + 0x1000) & 0xffffe000);
  return view.getFloat32(0);
}

const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);

describe('products with TF32 on cuda', () => {
  const [T, C, V] = [130, 76, 133];
  const input = randomFloats(T * C, 1);
  const weight = randomFloats(V * C, 2);
  const bias = new Float32Array(V);
  const exact = products(input, weight, [T, V, C], (x) => x);
  const rounded = products(input.map(tf32), weight.map(tf32), [T, V, C], (x) => x);

  const args = { T, N: V, K: C, activation: 'none', in: input, weight, bias, residual: null };
  const linear = () => runOp('cuda', 'linear', args, { out: unwritten(T * V) }).out;

  test('linear is within the rounding of its operands to TF32', () => {
    const sizes = products(input.map(Math.abs), weight.map(Math.abs), [T, V, C], (x) => x);
    const allowed = Math.max(...Array.from(sizes)) * 2 ** -9;
    expect(difference(linear(), exact)).toBeLessThan(allowed);
  });

  // cuBLAS may round to TF32 and need not.
  test.skipIf(!rowsStandAlone('cuda'))('linear rounds its operands to TF32 and nothing else', () => {
    const out = linear();
    expect(difference(out, rounded)).toBeLessThan(1e-4);
    expect(difference(out, exact)).toBeGreaterThan(1e-3);
  });

  test('the sparse head does so too', () => {
    const offsets = offsetsOf([3, 0, 127]);
    const args = { B: 3, T, C, V, pooling: 'max', in: input, weight, bias, offsets, cut: 0, least: 0, least_from: 0 };
    const { pooled } = runOp('cuda', 'sparse_head', args, { pooled: unwritten(3 * V) });
    const largest = (rows: number[], first: number, last: number, v: number) =>
      Math.max(...Array.from({ length: last - first }, (_, t) => rows[(first + t) * V + v]!));
    for (let v = 0; v < V; v++) {
      expect(pooled[v]).toBeCloseTo(largest(rounded, 0, 3, v), 4);
      expect(pooled[V + v]).toBe(Number.NEGATIVE_INFINITY);
      expect(pooled[2 * V + v]).toBeCloseTo(largest(rounded, 3, T, v), 4);
    }
  });

  test('attention is within the rounding of TF32 of the exact one', () => {
    const [S, H] = [70, 2];
    const args = { B: 1, T: S, C, H, seed: 0, dropout: 0, qkv: randomFloats(S * 3 * C, 3), offsets: offsetsOf([S]) };
    const run = (device: string) => runOp(device, 'attention', args, { out: unwritten(S * C) }).out;
    const error = difference(run('cuda'), run('cpu'));
    expect(error).toBeLessThan(2 ** -7);
    expect(error).toBeGreaterThan(1e-6);
  });

  // As large as BERT's heads and rows, with the masks of dropout. What TF32 rounds is 2^-11 of an operand, and sums of
  // many products err by less than that of their largest value.
  describe('the backward pass of', () => {
    const largest = (values: Float32Array) => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    /** Expects the outputs of the CPU within 1e-3 of the largest value, and that something was rounded. */
    const expectTf32 = (op: string, args: OpArguments, outputs: () => Record<string, Float32Array>) => {
      const [exact, actual] = [runOp('cpu', op, args, outputs()), runOp('cuda', op, args, outputs())];
      for (const [name, values] of Object.entries(exact)) {
        expect(difference(actual[name]!, values), name).toBeLessThan(1e-3 * largest(values));
      }
      expect(actual).not.toEqual(exact);
    };

    test.each([32, 64, 96, 128])('attention with heads of %i', (D) => {
      const offsets = offsetsOf([1, 37]);
      const qkv = randomFloats(38 * 3 * D, 1).map((x) => x / 2);
      const args = { B: 2, T: 38, C: D, H: 1, seed: 3, dropout: 0.1, qkv, offsets, text_ids: Int32Array.of(5, 9) };
      const forward = runOp('cpu', 'attention', args, { out: unwritten(38 * D), log_sums: unwritten(38) });
      expectTf32('attention_backward', { ...args, ...forward, d_out: randomFloats(38 * D, 2) }, () => ({
        d_qkv: unwritten(38 * 3 * D),
      }));
    });

    test('linear', () => {
      const K = 768;
      const matrices = { in: randomFloats(T * K, 4), weight: randomFloats(V * K, 5), d_out: randomFloats(T * V, 6) };
      expectTf32('linear_backward', { T, N: V, K, dtype: 'float32', ...matrices }, () => ({
        d_in: unwritten(T * K),
        d_weight: new Float32Array(V * K),
        d_bias: new Float32Array(V),
      }));
    });

    test('the sparse head with sums', () => {
      const offsets = offsetsOf([3, 0, 127]);
      // No logit is near 0, where its sign decides.
      const args = {
        B: 3,
        T,
        C,
        V,
        pooling: 'sum',
        in: input.map(Math.abs),
        weight: weight.map(Math.abs),
        bias,
        offsets,
      };
      expectTf32('sparse_head_backward', { ...args, argmax: null, d_pooled: randomFloats(3 * V, 7) }, () => ({
        d_in: unwritten(T * C),
        d_weight: new Float32Array(V * C),
        d_bias: new Float32Array(V),
      }));
    });
  });

  test('scores stay exact', () => {
    const args = { Q: 2, D: 3, V: 200, queries: randomFloats(400, 5), documents: randomFloats(600, 6) };
    const { scores } = runOp('cuda', 'scores', args, {
      scores: unwritten(6),
      query_squares: unwritten(2),
      document_squares: unwritten(3),
    });
    expect(
      difference(
        scores,
        products(args.queries, args.documents, [2, 3, 200], (x) => x),
      ),
    ).toBeLessThan(1e-4);
  });
});
