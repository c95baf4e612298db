import { appendFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Device } from '../../lib/device';
import { native } from '../../lib/native';
import { recordExpected, recordRun } from './record-ops';

/** The backends that are there: the CPU, and CUDA, in emulation where there is no device. */
export const backends = native
  .platform()
  .backends.filter(({ available }) => available)
  .map(({ name }) => name as Device);

/** Where ops run: every CPU level of this machine, and every other backend. */
export const devices: string[] = [
  ...native.platform().cpuLevels.map((level) => `cpu:${level}`),
  ...backends.filter((name) => name !== 'cpu'),
];

/**
 * Whether a row has the same bits whatever is beside it. cuBLAS, which the emulator does not use, chooses how it sums by the
 * size of the whole product.
 */
export function rowsStandAlone(device: string): boolean {
  const cuda = native.platform().backends.find(({ name }) => name === 'cuda');
  return !device.startsWith('cuda') || !!cuda?.description.startsWith('emulated');
}

/** Rounds every intermediate result of a reference: not at all for the exact one, `Math.fround` for a plain float32 one. */
export type Round = (x: number) => number;
const exactly: Round = (x) => x;

/** A reference that is computed once for each input, since every device is compared with it. */
export function remembered<A extends object, R>(reference: (args: A, round: Round) => R) {
  const known = new Map<Round, WeakMap<A, R>>();
  return (args: A, round: Round): R => {
    const ofRound = known.get(round) ?? new WeakMap<A, R>();
    known.set(round, ofRound);
    const found = ofRound.get(args) ?? reference(args, round);
    ofRound.set(args, found);
    return found;
  };
}

type Values = Float32Array | Int32Array | Uint8Array;
export type OpArguments = Record<string, number | string | Values | null>;

/** One input of an op with what must come out of it. */
export interface OpCase<A extends OpArguments = OpArguments> {
  name: string;
  args: A;
}

/** Runs an op; `outputs` names its output arguments and how many values each has. Returns them, filled. */
export function runOp<O extends Record<string, Float32Array | Int32Array>>(
  device: string,
  op: string,
  args: OpArguments,
  outputs: O,
): O {
  if (process.env.FLES_CUDA_RUNS && device === 'cuda') {
    const shape = Object.values(args).filter((value) => typeof value !== 'object');
    appendFileSync(process.env.FLES_CUDA_RUNS, `${JSON.stringify([op, ...shape])}\n`);
  }
  const done = device === 'cpu:portable' ? recordRun(op, args, outputs) : () => {};
  native.runOp(device, op, { ...args, ...outputs });
  done();
  return outputs;
}

/** An output array that no op leaves as it is. */
export function unwritten(length: number): Float32Array {
  return new Float32Array(length).fill(Number.NaN);
}

/**
 * Expects the values of the reference in float64. An op may make twice the error of the same plain loops in float32, and
 * never has to be nearer than 2 units in the last place of the largest value; `extra` is what an approximation of its
 * own, such as that of erf, may add.
 */
export function expectClose(actual: Float32Array, reference: (round: Round) => ArrayLike<number>, extra = 0): void {
  const exact = reference(exactly);
  const plain = reference(Math.fround);
  expect(actual.length).toBe(exact.length);
  let [largest, plainError, error] = [0, 0, 0];
  for (let i = 0; i < exact.length; i++) {
    largest = Math.max(largest, Math.abs(exact[i]!));
    plainError = Math.max(plainError, Math.abs(plain[i]! - exact[i]!));
    error = Math.max(error, Math.abs(actual[i]! - exact[i]!)); // NaN stays
  }
  const allowed = Math.max(2 * plainError, largest * 2 ** -22) + extra;
  recordExpected(actual, exact, allowed);
  expect(error).toBeLessThanOrEqual(allowed);
}

/** Numbers between -2 and 2, the same for the same seed (mulberry32). */
export function randomFloats(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * 4 - 2;
  });
}

/** Offsets of texts with these numbers of tokens. */
export function offsetsOf(lengths: readonly number[]): Int32Array {
  const offsets = new Int32Array(lengths.length + 1);
  for (const [b, length] of lengths.entries()) offsets[b + 1] = offsets[b]! + length;
  return offsets;
}

/** The error function, by its series up to 3 and its continued fraction beyond: within 1e-15. */
export function erf(x: number): number {
  if (x < 0) return -erf(-x);
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; term > 1e-17 * sum; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 60; n > 0; n--) fraction = x + n / 2 / fraction;
  return 1 - Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI));
}

/** LayerNorm of one row, as ops/layernorm.h has it. */
export function layernormRow(
  x: ArrayLike<number>,
  gamma: ArrayLike<number>,
  beta: ArrayLike<number>,
  eps: number,
  round: Round,
): number[] {
  const C = x.length;
  let sum = 0;
  for (let c = 0; c < C; c++) sum = round(sum + x[c]!);
  const mean = round(sum / C);
  let squares = 0;
  for (let c = 0; c < C; c++) squares = round(squares + round(round(x[c]! - mean) ** 2));
  const scale = round(1 / round(Math.sqrt(round(round(squares / C) + eps))));
  return Array.from(x, (value, c) => round(round(round(round(value - mean) * scale) * gamma[c]!) + beta[c]!));
}

/** `in W^T`, row after row, as ops/linear.h has it: in (T, K), weight (N, K). */
export function products(
  input: ArrayLike<number>,
  weight: ArrayLike<number>,
  [T, N, K]: readonly [number, number, number],
  round: Round,
): number[] {
  const out: number[] = [];
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum = round(sum + round(input[t * K + k]! * weight[n * K + k]!));
      out.push(sum);
    }
  }
  return out;
}
