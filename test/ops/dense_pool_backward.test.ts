import { describe, expect, test } from 'vitest';
import { devices, runOp, unwritten } from '../support/native-ops';
import { cases, type DensePoolBackwardArguments } from './dense_pool_backward.cases';

/** Every quotient has one float32, the same on each backend. */
function expected({ B, T, C, pooling, d_out, offsets }: DensePoolBackwardArguments): Float32Array {
  const d_in = new Float32Array(T * C);
  for (let b = 0; b < B; b++) {
    const [first, end] = [offsets[b]!, offsets[b + 1]!];
    for (let t = first; t < end; t++) {
      for (let c = 0; c < C; c++) {
        const gradient = d_out[b * C + c]!;
        d_in[t * C + c] = pooling === 'mean' ? gradient / (end - first) : t === first ? gradient : 0;
      }
    }
  }
  return d_in;
}

describe.each(devices)('dense_pool_backward on %s', (device) => {
  test.each(cases)('gives each token its share: $name', ({ args }) => {
    const { d_in } = runOp(device, 'dense_pool_backward', args, { d_in: unwritten(args.T * args.C) });
    expect(d_in).toEqual(expected(args));
  });
});
