// What the roofline model predicts beside what was measured. Every predicted figure stands under `predicted`.
import { budgetOf } from './cuda-budgets.mjs';
import { launchesOf } from './cuda-kernels.mjs';
import { deviceFor, secondsOf, summarize } from './roofline-model.mjs';

/** Whose peaks predict for a device, {device, exact}, or why there are none, {reason}. */
export function predictorFor({ device, description, tf32 }) {
  if (!device.startsWith('cuda')) return { reason: 'the roofline model is one of CUDA devices' };
  if (!tf32) return { reason: 'the roofline model is one of TF32 products; FLES_TF32 is 0' };
  return deviceFor(description);
}

/**
 * Part of a row of the results: {measured or emulated, predicted, ratio}, of the summary of times in milliseconds. `ops` are
 * those of cuda-steps.mjs; `ratio` is measured by predicted.
 * Times of an emulated device are no measurements: they are not called so, and nothing is compared with them.
 */
export function beside({ milliseconds, emulated, predictor, ops }) {
  const { median, runs: samples, ...rest } = milliseconds;
  const times = { [emulated ? 'emulated' : 'measured']: { milliseconds: median, ...rest, samples } };
  if (!predictor.device) return { ...times, predicted: null, ratio: null };
  const launches = launchesOf(ops, budgetOf);
  const seconds = secondsOf(predictor.device, launches);
  const [{ bound }] = summarize(predictor.device, launches, ({ kernel }) => kernel);
  return {
    ...times,
    predicted: { milliseconds: 1e3 * seconds, launches: launches.length, bound },
    ratio: emulated ? null : median / (1e3 * seconds),
  };
}
