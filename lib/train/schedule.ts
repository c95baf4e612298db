/** How the learning rate falls behind the warm-up. */
export type ScheduleShape = 'linear' | 'cosine' | 'constant';

/** Steps named either by their number or, below 1, by their share of the run. */
export function stepsOf(value: number, steps: number): number {
  return value < 1 ? Math.round(value * steps) : value;
}

/**
 * The factor of the learning rate at a step, counted from 1: a linear rise over the warm-up, in which the first step has a rate already,
 * then constant, or falling to 0 behind the last step in a line or along a cosine (Loshchilov and Hutter 2016, arXiv:1608.03983).
 */
export function rateFactor(shape: ScheduleShape, step: number, warmup: number, steps: number): number {
  if (step <= warmup) return step / warmup;
  if (shape === 'constant') return 1;
  const left = (steps + 1 - step) / (steps + 1 - warmup);
  return shape === 'linear' ? left : (1 - Math.cos(Math.PI * left)) / 2;
}
