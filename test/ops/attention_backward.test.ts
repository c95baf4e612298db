import { describe, expect, test } from 'vitest';
import { native } from '../../lib/native';
import { devices, expectClose, remembered, runOp, unwritten } from '../support/native-ops';
import { reference as forwardReference } from './attention.cases';
import { type AttentionBackwardArguments, cases, reference as computed } from './attention_backward.cases';

const reference = remembered(computed);

const run = (device: string, args: AttentionBackwardArguments) =>
  runOp(device, 'attention_backward', args, { d_qkv: unwritten(args.T * 3 * args.C) }).d_qkv;

test('the reference is the slope of the reference of the forward pass', () => {
  for (const { args } of cases.filter(({ args: { T, C } }) => T > 0 && T < 60 && C < 32)) {
    const loss = (qkv: number[]) => {
      const { out } = forwardReference({ ...args, qkv: qkv as unknown as Float32Array }, (x) => x);
      return out.reduce((sum, value, i) => sum + value * args.d_out[i]!, 0);
    };
    const gradient = reference(args, (x) => x);
    const largest = Math.max(...gradient.map(Math.abs), 1);
    for (let at = 0; at < gradient.length; at += 1 + Math.floor(gradient.length / 40)) {
      // Central differences of step 1e-4 err by its square; out and log_sums are rounded to float32.
      const moved = (step: number) => loss(Array.from(args.qkv, (x, i) => (i === at ? x + step : x)));
      const slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
      expect(Math.abs(slope - gradient[at]!)).toBeLessThan(1e-5 * largest);
    }
  }
});

describe.each(devices)('attention_backward on %s', (device) => {
  test.each(cases)('finds the gradient of $name', ({ args }) => {
    expectClose(run(device, args), (round) => reference(args, round));
  });

  test('a text of a batch has the bits of the same text alone', () => {
    for (const { args } of cases) {
      const together = run(device, args);
      for (let b = 0; b < args.B; b++) {
        const [first, end] = [args.offsets[b]!, args.offsets[b + 1]!];
        const rows = (values: Float32Array, columns: number) => values.subarray(first * columns, end * columns);
        const alone = run(device, {
          ...args,
          B: 1,
          T: end - first,
          qkv: rows(args.qkv, 3 * args.C),
          out: rows(args.out, args.C),
          d_out: rows(args.d_out, args.C),
          log_sums: rows(args.log_sums, args.H),
          offsets: Int32Array.of(0, end - first),
          text_ids: args.text_ids.subarray(b, b + 1),
        });
        expect(alone).toEqual(rows(together, 3 * args.C));
      }
    }
  });

  test('dropout without text ids is refused', () => {
    const { args } = cases[2]!;
    const d_qkv = unwritten(args.T * 3 * args.C);
    expect(() => native.runOp(device, 'attention_backward', { ...args, dropout: 0.1, text_ids: null, d_qkv })).toThrow(
      expect.objectContaining({ code: 'ERR_ARGUMENT_VALUE' }),
    );
  });
});
