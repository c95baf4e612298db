import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { type AntiCollapseArguments, cases, reference } from './anti_collapse.cases';

const before = 0.5;

const run = (device: string, args: AntiCollapseArguments) =>
  runOp(device, 'anti_collapse', args, {
    value: unwritten(1),
    d_pooled: new Float32Array(args.B * args.V).fill(before),
    squares: unwritten(1),
  });

describe.each(devices)('anti_collapse on %s', (device) => {
  test.each(cases)('lifts those of the k largest that are below the margin: $name', ({ args }) => {
    const out = run(device, args);
    expectClose(out.value, (round) => reference(args, before, round).value);
    expectClose(out.d_pooled, (round) => reference(args, before, round).d_pooled);
    expectClose(out.squares, (round) => reference(args, before, round).squares);
  });

  test('a healthy row costs nothing', () => {
    const out = run(device, cases.find(({ name }) => name === 'a healthy row')!.args);
    expect([out.value[0], out.squares[0], ...new Set(out.d_pooled)]).toEqual([0, 0, before]);
  });

  test('the gradient reaches terms whose value is negative', () => {
    const pooled = Float32Array.of(-3, -1, -2, -4);
    const args = { B: 1, V: 4, k: 2, margin: 0.5, scale: 1, pooled, drop: null };
    expect([...run(device, args).d_pooled]).toEqual([before, 0, 0, before]);
    expect(run(device, args).value[0]).toBe((1.5 + 2.5) / 2);
  });
});
