import { erf, type OpCase, type Round, randomFloats } from '../support/native-ops';

export const activations = ['none', 'gelu', 'gelu_new', 'relu'] as const;
export type ActivationName = (typeof activations)[number];

export interface ActivationArguments {
  [name: string]: number | string | Float32Array;
  T: number;
  N: number;
  activation: ActivationName;
  in: Float32Array;
}

/** From where an activation is 0 to where it is linear, and all that lies between. */
export function everywhere(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => (length === 1 ? 0.5 : (24 * i) / (length - 1) - 12));
}

function activation(name: string, T: number, N: number, kind: ActivationName, input = randomFloats(T * N, T + N)) {
  return { name: `${kind}: ${name}`, args: { T, N, activation: kind, in: input } };
}

export const cases: OpCase<ActivationArguments>[] = activations.flatMap((kind) => [
  activation('one value', 1, 1, kind),
  activation('a vector and a rest', 3, 7, kind),
  activation('from -12 to 12', 1, 2403, kind, everywhere(2403)),
  activation('zeros', 2, 9, kind, new Float32Array(18)),
  activation('far from 0', 1, 4, kind, Float32Array.of(-1e6, -100, 100, 1e6)),
  activation('more values than are handed out at once', 65, 1031, kind),
  activation('no rows', 0, 5, kind),
]);

const K = Math.sqrt(2 / Math.PI);

export function activate(x: number, kind: ActivationName): number {
  if (kind === 'gelu') return (x / 2) * (1 + erf(x / Math.SQRT2));
  if (kind === 'gelu_new') return (x / 2) * (1 + Math.tanh(K * (x + 0.044715 * x ** 3)));
  return kind === 'relu' ? Math.max(x, 0) : x;
}

/** Derivatives of the formulas above. */
export function slope(x: number, kind: ActivationName): number {
  if (kind === 'gelu') {
    return (1 + erf(x / Math.SQRT2)) / 2 + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  }
  if (kind === 'gelu_new') {
    const tanh = Math.tanh(K * (x + 0.044715 * x ** 3));
    return (1 + tanh) / 2 + (x / 2) * (1 - tanh * tanh) * K * (1 + 3 * 0.044715 * x * x);
  }
  return kind === 'relu' && x <= 0 ? 0 : 1;
}

export const reference = (a: ActivationArguments, round: Round): number[] =>
  Array.from(a.in, (x) => round(activate(x, a.activation)));
