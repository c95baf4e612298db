import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp } from '../support/native-ops';
import { type AdamwArguments, type AdamwState, adamw, cases, reference, stateOf } from './adamw.cases';

/** The state after a step from a copy of it. */
const step = (device: string, args: AdamwArguments, state: AdamwState) =>
  runOp(device, 'adamw', args, {
    parameter: state.parameter.slice(),
    first: state.first.slice(),
    second: state.second.slice(),
  });

describe.each(devices)('adamw on %s', (device) => {
  test.each(cases)('updates parameter and moments: $name', ({ args }) => {
    const state = stateOf(args.count);
    const out = step(device, args, state);
    for (const part of ['parameter', 'first', 'second'] as const) {
      expectClose(out[part], (round) => reference(args, state, round)[part]);
    }
  });

  test('ten steps from the start follow the float64 reference', () => {
    const count = 203;
    const zeros = () => new Float32Array(count);
    let state: AdamwState = { parameter: stateOf(count).parameter, first: zeros(), second: zeros() };
    let exact: Parameters<typeof reference>[1] = state;
    for (let t = 1; t <= 10; t++) {
      const args = adamw(count, t, { rate: 1e-3, scale: 1 / t });
      state = step(device, args, state);
      exact = reference(args, exact, (x) => x);
    }
    // Of the ten steps the parameter went: each is rounded to 2^-24 of the parameter, below 2, and its own size, 1e-3, is
    // known to some 2^-22.
    const error = (part: keyof AdamwState) =>
      Math.max(...state[part].map((value, i) => Math.abs(value - exact[part][i]!)));
    expect(error('parameter')).toBeLessThan(10 * (2 ** -23 + 1e-3 * 2 ** -20));
    expect(error('first')).toBeLessThan(2 ** -22);
    expect(error('second')).toBeLessThan(2 ** -22);
  });

  test('the first step moves every parameter by the rate against its gradient', () => {
    const zeros = new Float32Array(9);
    const { parameter } = step(device, adamw(9, 1, { decay: 0, rate: 0.5 }), {
      parameter: zeros,
      first: zeros,
      second: zeros,
    });
    const { gradient } = adamw(9, 1);
    // eps is 1e-8 of a gradient near 1, and the rest is rounding.
    parameter.forEach((value, i) => {
      expect(Math.abs(value + 0.5 * Math.sign(gradient[i]!))).toBeLessThan(1e-6);
    });
  });

  test('a parameter without gradient stays without decay, and shrinks with it', () => {
    const count = 21;
    const start = {
      parameter: stateOf(count).parameter,
      first: new Float32Array(count),
      second: new Float32Array(count),
    };
    const args = adamw(count, 4, { gradient: new Float32Array(count), rate: 0.5 });
    expect(step(device, { ...args, decay: 0 }, start).parameter).toEqual(start.parameter);
    expect(step(device, { ...args, decay: 0.5 }, start).parameter).toEqual(start.parameter.map((x) => x * 0.75));
  });

  test('moments that are no normal numbers any more become 0', () => {
    const count = 11;
    const tiny = new Float32Array(count).fill(1.2e-38);
    const state = { parameter: new Float32Array(count).fill(1), first: tiny.map((x) => -x), second: tiny };
    const args = adamw(count, 900, { gradient: new Float32Array(count), decay: 0, beta2: 0.9 });
    const out = step(device, args, state);
    expect([new Set(out.first), new Set(out.second), new Set(out.parameter)]).toEqual([
      new Set([0]),
      new Set([0]),
      new Set([1]),
    ]);
  });
});
