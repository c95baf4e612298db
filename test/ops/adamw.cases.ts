import { type OpCase, type Round, randomFloats } from '../support/native-ops';

export interface AdamwArguments {
  [name: string]: number | Float32Array;
  count: number;
  rate: number;
  beta1: number;
  beta2: number;
  eps: number;
  decay: number;
  scale: number;
  correction1: number;
  correction2: number;
  gradient: Float32Array;
}

/** What the optimizer holds: parameter and moments. */
export type AdamwState = Record<'parameter' | 'first' | 'second', Float32Array>;

/** Corrections of a step as ops/adamw.h asks for them. */
export const corrections = (beta1: number, beta2: number, step: number) => ({
  correction1: 1 - Math.fround(beta1) ** step,
  correction2: 1 - Math.fround(beta2) ** step,
});

export function adamw(count: number, step: number, change: Partial<AdamwArguments> = {}): AdamwArguments {
  const [beta1, beta2] = [0.9, 0.999];
  return {
    ...{ count, rate: 2e-5, beta1, beta2, eps: 1e-8, decay: 0.01, scale: 1, ...corrections(beta1, beta2, step) },
    gradient: randomFloats(count, 60 + step),
    ...change,
  };
}

export const cases: OpCase<AdamwArguments>[] = [
  { name: 'one value', args: adamw(1, 1) },
  { name: 'a vector and a rest', args: adamw(13, 3) },
  { name: 'more values than are handed out at once', args: adamw(70001, 2) },
  { name: 'a gradient that is clipped', args: adamw(40, 5, { scale: 0.125 }) },
  { name: 'a rate and a decay that are large', args: adamw(40, 5, { rate: 0.1, decay: 0.5 }) },
  { name: 'without decay', args: adamw(40, 5, { decay: 0 }) },
  { name: 'an eps that matters', args: adamw(40, 5, { eps: 0.3 }) },
  { name: 'no values', args: adamw(0, 1) },
];

/** What an optimizer may hold before a step: second moments are positive. */
export const stateOf = (count: number): AdamwState => ({
  parameter: randomFloats(count, 51),
  first: randomFloats(count, 52).map((x) => x / 10),
  second: randomFloats(count, 53).map((x) => x * x),
});

/** The formulas of ops/adamw.h; scalars are the float32 that the op is given. */
export function reference(a: AdamwArguments, state: Record<keyof AdamwState, ArrayLike<number>>, round: Round) {
  const f = Math.fround;
  const [beta1, beta2, rate, decay, eps] = [f(a.beta1), f(a.beta2), f(a.rate), f(a.decay), f(a.eps)];
  const [correction1, correction2] = [f(a.correction1), f(a.correction2)];
  const out = { parameter: [] as number[], first: [] as number[], second: [] as number[] };
  for (let i = 0; i < a.count; i++) {
    const g = round(a.gradient[i]! * f(a.scale));
    const first = round(round(beta1 * state.first[i]!) + round(round(1 - beta1) * g));
    const second = round(round(beta2 * state.second[i]!) + round(round(1 - beta2) * round(g * g)));
    const p = state.parameter[i]!;
    const size = round(round(Math.sqrt(round(second / correction2))) + eps);
    const change = round(round(rate * round(first / correction1)) / size);
    out.parameter.push(round(round(p - round(round(rate * decay) * p)) - change));
    out.first.push(first);
    out.second.push(second);
  }
  return out;
}
