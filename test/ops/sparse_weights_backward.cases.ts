import { type OpCase, type Round, randomFloats } from '../support/native-ops';
import { cases as forward, type SparseWeightsArguments, slopes } from './sparse_weights.cases';

export interface SparseWeightsBackwardArguments extends SparseWeightsArguments {
  d_weights: Float32Array;
}

export const cases: OpCase<SparseWeightsBackwardArguments>[] = forward.map(({ name, args }) => ({
  name,
  args: { ...args, d_weights: randomFloats(args.B * args.V, 62).map((value, i) => (i % 4 === 1 ? 0 : value)) },
}));

/** What is added to d_pooled. */
export function added(a: SparseWeightsBackwardArguments, round: Round): number[] {
  return slopes(a, round).map((slope, i) => round(slope * a.d_weights[i]!));
}
