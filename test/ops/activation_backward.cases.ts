import { type OpCase, type Round, randomFloats } from '../support/native-ops';
import { type ActivationArguments, cases as forward, slope } from './activation.cases';

export interface ActivationBackwardArguments extends ActivationArguments {
  d_out: Float32Array;
}

export const cases: OpCase<ActivationBackwardArguments>[] = forward.map(({ name, args }) => ({
  name,
  args: { ...args, d_out: randomFloats(args.in.length, 3) },
}));

export const reference = (a: ActivationBackwardArguments, round: Round): number[] =>
  Array.from(a.in, (x, i) => round(round(slope(x, a.activation)) * a.d_out[i]!));
