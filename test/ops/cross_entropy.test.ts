import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { type CrossEntropyArguments, cases, reference } from './cross_entropy.cases';

const run = (device: string, args: CrossEntropyArguments) =>
  runOp(device, 'cross_entropy', args, {
    losses: unwritten(args.M),
    correct: new Int32Array(args.M).fill(-7),
    d_logits: unwritten(args.M * args.V),
  });

describe.each(devices)('cross_entropy on %s', (device) => {
  test.each(cases)('gives the loss of each row and its scaled gradient: $name', ({ args }) => {
    const out = run(device, args);
    expectClose(out.losses, (round) => reference(args, round).losses);
    expectClose(out.d_logits, (round) => reference(args, round).gradients);
    expect([...out.correct]).toEqual(reference(args, (x) => x).correct);
  });

  test('of equal largest logits the first is the prediction', () => {
    const args = { M: 2, V: 3, scale: 1, logits: Float32Array.of(0, 2, 2, 0, 2, 2), labels: Int32Array.of(1, 2) };
    expect([...run(device, args).correct]).toEqual([1, 0]);
  });

  test('a logit that is no number shows in the loss', () => {
    const logits = Float32Array.of(0, Number.NaN, 1, 0, 1, Number.POSITIVE_INFINITY);
    const args = { M: 2, V: 3, scale: 1, logits, labels: Int32Array.of(0, 0) };
    expect([...run(device, args).losses].map(Number.isFinite)).toEqual([false, false]);
  });
});
