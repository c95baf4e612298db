import { asMultiplied, type DataType } from '../support/data-types';
import { erf, type OpCase, products, type Round, randomFloats } from '../support/native-ops';

export type Activation = 'none' | 'gelu' | 'gelu_new' | 'relu';

export interface LinearArguments {
  [name: string]: number | string | Float32Array | null;
  T: number;
  N: number;
  K: number;
  activation: Activation;
  in: Float32Array;
  weight: Float32Array;
  bias: Float32Array | null;
  residual: Float32Array | null;
}

interface Parts {
  activation?: Activation;
  bias?: boolean;
  residual?: boolean;
}

function linear(T: number, N: number, K: number, parts: Parts = {}): OpCase<LinearArguments> {
  const { activation = 'none', bias = true, residual = false } = parts;
  return {
    name: `(${T}, ${K}) by (${N}, ${K}), ${activation}${bias ? ', bias' : ''}${residual ? ', residual' : ''}`,
    args: {
      T,
      N,
      K,
      activation,
      in: randomFloats(T * K, 21),
      weight: randomFloats(N * K, 22),
      bias: bias ? randomFloats(N, 23) : null,
      residual: residual ? randomFloats(T * N, 24) : null,
    },
  };
}

export const cases: OpCase<LinearArguments>[] = [
  linear(1, 1, 1),
  linear(1, 33, 17),
  linear(6, 16, 8, { bias: false }),
  linear(7, 31, 129, { residual: true }),
  linear(13, 32, 64, { bias: false, residual: true }),
  linear(14, 100, 48),
  linear(29, 65, 5, { residual: true }),
  linear(100, 7, 3),
  linear(9, 40, 12, { activation: 'gelu' }),
  linear(9, 40, 12, { activation: 'gelu_new', bias: false }),
  linear(9, 40, 12, { activation: 'relu', residual: true }),
  linear(5, 3, 12, { activation: 'gelu', residual: true }),
  // More rows and columns than one thread takes at a time, on every level.
  linear(1000, 1100, 6, { residual: true }),
  linear(150, 70, 96, { activation: 'gelu', residual: true }),
  linear(0, 5, 4, { residual: true }),
  linear(4, 0, 4),
];

function activate(x: number, activation: Activation, round: Round): number {
  switch (activation) {
    case 'gelu':
      return round((x / 2) * round(1 + erf(x / Math.SQRT2)));
    case 'gelu_new':
      return round((x / 2) * round(1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))));
    case 'relu':
      return Math.max(x, 0);
    case 'none':
      return x;
  }
}

export function reference(a: LinearArguments, dtype: DataType, round: Round): number[] {
  const [input, weight] = [asMultiplied(dtype, a.in, a.K), asMultiplied(dtype, a.weight, a.K)];
  return products(input, weight, [a.T, a.N, a.K], round).map((sum, i) => {
    const value = activate(round(sum + (a.bias?.[i % a.N] ?? 0)), a.activation, round);
    return round(value + (a.residual?.[i] ?? 0));
  });
}
