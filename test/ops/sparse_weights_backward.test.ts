import { describe, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { added, cases } from './sparse_weights_backward.cases';

const before = 0.5;

describe.each(devices)('sparse_weights_backward on %s', (device) => {
  test.each(cases)('adds to d_pooled and gives the squares of what it added: $name', ({ args }) => {
    const out = runOp(device, 'sparse_weights_backward', args, {
      d_pooled: new Float32Array(args.B * args.V).fill(before),
      squares: unwritten(1),
    });
    expectClose(out.d_pooled, (round) => added(args, round).map((value) => round(before + value)));
    expectClose(out.squares, (round) => [added(args, round).reduce((sum, value) => sum + value ** 2, 0)]);
  });
});
