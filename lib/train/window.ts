import type { Lambdas } from './clfr';
import type { StepLine } from './run-log';
import type { StepOutcome } from './task';

/** Sums over the steps of a line of the log; JSON, for a checkpoint may come in the middle. */
export interface WindowState {
  steps: number;
  examples: number;
  loss: number;
  terms: StepLine['terms'];
  counts: { documents: number; documentTerms: number; queries: number; queryTerms: number } | null;
  accuracy: number | null;
  gradientNorm: number;
  seconds: Record<string, number>;
  /** Time between the ends of steps. */
  elapsed: number;
  bytes: number;
  headBytes: number;
}

export const EMPTY_WINDOW: WindowState = {
  steps: 0,
  examples: 0,
  loss: 0,
  terms: {},
  counts: null,
  accuracy: null,
  gradientNorm: 0,
  seconds: {},
  elapsed: 0,
  bytes: 0,
  headBytes: 0,
};

export function addStep(window: WindowState, outcome: StepOutcome, elapsed: number): WindowState {
  const { measurement: seen } = outcome;
  const counts = window.counts ?? { documents: 0, documentTerms: 0, queries: 0, queryTerms: 0 };
  const terms = { ...window.terms };
  for (const [name, { value, weight, gradientNorm }] of Object.entries(outcome.terms)) {
    const sum = terms[name];
    terms[name] = {
      value: value + (sum?.value ?? 0),
      weight: weight + (sum?.weight ?? 0),
      gradientNorm: gradientNorm + (sum?.gradientNorm ?? 0),
    };
  }
  const seconds = { ...window.seconds };
  for (const [part, value] of Object.entries(outcome.seconds)) seconds[part] = value + (seconds[part] ?? 0);
  return {
    steps: window.steps + 1,
    examples: window.examples + outcome.examples,
    loss: window.loss + outcome.loss,
    terms,
    counts: seen
      ? {
          documents: counts.documents + seen.documents,
          documentTerms: counts.documentTerms + seen.documentTerms,
          queries: counts.queries + seen.queries,
          queryTerms: counts.queryTerms + seen.queryTerms,
        }
      : window.counts,
    accuracy: outcome.accuracy === undefined ? window.accuracy : outcome.accuracy + (window.accuracy ?? 0),
    gradientNorm: window.gradientNorm + outcome.gradientNorm,
    seconds,
    elapsed: window.elapsed + elapsed,
    bytes: Math.max(window.bytes, outcome.bytes),
    headBytes: Math.max(window.headBytes, outcome.headBytes),
  };
}

/** The line of the log, its sums turned into means. */
export function stepLine(
  window: WindowState,
  at: { step: number; epoch: number; rate: number; lambda: Lambdas },
): StepLine {
  const { steps, counts, accuracy } = window;
  const mean = (value: number) => value / steps;
  return {
    kind: 'step',
    step: at.step,
    time: Date.now() / 1000,
    epoch: at.epoch,
    loss: mean(window.loss),
    terms: Object.fromEntries(
      Object.entries(window.terms).map(([name, { value, weight, gradientNorm }]) => [
        name,
        { value: mean(value), weight: mean(weight), gradientNorm: mean(gradientNorm) },
      ]),
    ),
    ...(counts && { nnz: nnzOf(counts), lambda: at.lambda }),
    ...(accuracy !== null && { accuracy: mean(accuracy) }),
    rate: at.rate,
    gradientNorm: mean(window.gradientNorm),
    examplesPerSecond: window.examples / window.elapsed,
    seconds: Object.fromEntries(Object.entries(window.seconds).map(([part, value]) => [part, mean(value)])),
    bytes: window.bytes,
    headBytes: window.headBytes,
  };
}

export function nnzOf(counts: NonNullable<WindowState['counts']>): { documents: number; queries: number } {
  return { documents: counts.documentTerms / counts.documents, queries: counts.queryTerms / counts.queries };
}
