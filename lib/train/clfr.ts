import { checkChoice, checkInteger, checkNumber, checkObject } from '../check';
import { stepsOf } from './schedule';

/** How lambda follows the measurement: see `controlLaw` for each. */
export const CLFR_LAWS = [
  'none',
  'per-step',
  'relative',
  'exponential',
  'log-ratio',
  'pi',
  'adaptive',
  'quadratic',
] as const;
export type ClfrLaw = (typeof CLFR_LAWS)[number];

export interface ClfrConfig {
  law: ClfrLaw;
  /**
   * What the loop of the documents holds: `nnz`, the mean number of terms a document, or `flops`, the expected products a
   * query-document pair, `sum_v p_q(v) p_d(v)` with p the share of texts that have the term (Paria et al. 2020,
   * arXiv:2004.05665).
   */
  measure: 'nnz' | 'flops';
  /** Set point of the measure, above 0. */
  target: number;
  /** Terms a query at which lambda of the queries is held by a loop of its own; null leaves that lambda alone. */
  queryTarget: number | null;
  /** Correction for an error of 100%; for `adaptive` the gain it starts with. */
  gain: number;
  /** `pi`: correction for each 100% of summed error. */
  integralGain: number;
  /** `pi`: errors up to this share of the target are left alone. */
  deadBand: number;
  /** Steps from one update to the next. */
  interval: number | 'epoch';
  /** Steps at the end of an interval whose texts are counted. */
  window: number;
  /** `quadratic`: steps until lambda is whole; below 1, their share of the run. */
  warmup: number;
  /** Bounds of lambda. */
  lambdaMin: number;
  lambdaMax: number;
}

/** Length of the run. */
export interface RunLength {
  steps: number;
  stepsPerEpoch: number;
}

/** What one step has seen, all of its texts together. Counts are integers, so that sums do not depend on their order. */
export interface ClfrMeasurement {
  /** The step just done, from 1. */
  step: number;
  documents: number;
  /** Non-zero terms of all documents. */
  documentTerms: number;
  queries: number;
  queryTerms: number;
  /** Documents and queries of the step that have each term; `measure: 'flops'` needs them. */
  documentFrequencies?: ArrayLike<number>;
  queryFrequencies?: ArrayLike<number>;
}

export interface Lambdas {
  documents: number;
  queries: number;
}

/** All that a controller remembers; JSON, as the checkpoint keeps it. */
export interface ClfrState {
  lambdas: Lambdas;
  /** What the law remembers about each loop. */
  memory: { documents: LawMemory; queries: LawMemory };
  /** Sums over the window so far. */
  window: ClfrWindow;
  /** Decisions of the documents' loop so far. */
  decisions: number;
  /** Those that changed lambda. */
  adjustments: number;
}

type LawMemory = Readonly<Record<string, number>>;

interface ClfrWindow {
  documents: number;
  documentTerms: number;
  queries: number;
  queryTerms: number;
  documentFrequencies: number[];
  queryFrequencies: number[];
}

/** What a controller decided at the end of an interval; a line of the log. */
export interface ClfrDecision {
  step: number;
  /** Whose lambda it is. */
  of: 'documents' | 'queries';
  law: ClfrLaw;
  measure: 'nnz' | 'flops';
  /** The measure over the window. */
  value: number;
  target: number;
  before: number;
  after: number;
  /** Which bound held lambda back, if one did. */
  clamped: 'min' | 'max' | null;
}

export interface Clfr {
  /** Steps from one decision to the next; null where there are none. */
  readonly interval: number | null;
  start(lambdas: Lambdas): ClfrState;
  /** Weights of the FLOPS terms in a step, counted from 1. */
  lambdas(state: ClfrState, step: number): Lambdas;
  /** Takes in what a step has seen; at the end of an interval lambda moves. */
  update(state: ClfrState, measurement: ClfrMeasurement): { state: ClfrState; decisions: ClfrDecision[] };
}

const EMPTY_WINDOW: ClfrWindow = {
  documents: 0,
  documentTerms: 0,
  queries: 0,
  queryTerms: 0,
  documentFrequencies: [],
  queryFrequencies: [],
};

/**
 * Closed-loop FLOPS regulation: holds the number of terms of the vectors at a target by moving lambda, the weight of the
 * FLOPS regularisation, once an interval. A controller is a pure function of state and measurement; there is no update after
 * the last step, which nothing would follow.
 *
 * @throws FlesError `ERR_ARGUMENT_TYPE`, `ERR_OPTION_VALUE` (a law or a measure that does not exist), `ERR_OPTION_RANGE` (a number that the
 *   law needs is none, or out of range)
 */
export function createClfr(config: ClfrConfig, run: RunLength): Clfr {
  checkObject('config', config, 'the keys of clfr', ['target', 'window', 'interval', 'lambdaMin', 'lambdaMax']);
  checkChoice('law', config.law, CLFR_LAWS);
  checkObject('run', run, '{steps, stepsPerEpoch}', ['steps', 'stepsPerEpoch']);
  const closed = config.law !== 'none' && config.law !== 'quadratic';
  checkNumbers(config, run);
  const everyStep = config.law === 'per-step';
  const interval = everyStep ? 1 : config.interval === 'epoch' ? run.stepsPerEpoch : config.interval;
  const window = everyStep ? 1 : Math.min(config.window, interval);
  const law = controlLaw(config, run);

  const control = (state: ClfrState, of: 'documents' | 'queries', step: number) => {
    const measure = of === 'documents' ? config.measure : 'nnz';
    const target = of === 'documents' ? config.target : config.queryTarget!;
    const value = measured(state.window, of, measure);
    const before = state.lambdas[of];
    const { factor, memory } = law({ value, target, lambda: before }, state.memory[of]);
    const wanted = before * factor;
    const after = clamp(wanted, config.lambdaMin, config.lambdaMax);
    const clamped = wanted > after ? 'max' : wanted < after ? 'min' : null;
    const decision: ClfrDecision = { step, of, law: config.law, measure, value, target, before, after, clamped };
    return { decision, memory };
  };

  return {
    interval: closed ? interval : null,

    start: (lambdas) => ({
      lambdas,
      memory: { documents: {}, queries: {} },
      window: EMPTY_WINDOW,
      decisions: 0,
      adjustments: 0,
    }),

    lambdas(state, step) {
      const share = config.law === 'quadratic' ? Math.min(1, step / stepsOf(config.warmup, run.steps)) ** 2 : 1;
      return { documents: state.lambdas.documents * share, queries: state.lambdas.queries * share };
    },

    update(state, measurement) {
      const { step } = measurement;
      if (!closed) return { state, decisions: [] };
      if (config.measure === 'flops') {
        checkObject('measurement', measurement, 'the counts of a step with documentFrequencies and queryFrequencies', [
          'documentFrequencies',
          'queryFrequencies',
        ]);
      }
      const left = (interval - (step % interval)) % interval;
      if (left >= window) return { state, decisions: [] };
      const counted = { ...state, window: add(state.window, measurement, config.measure === 'flops') };
      if (left > 0) return { state: counted, decisions: [] };
      if (step >= run.steps) return { state: { ...state, window: EMPTY_WINDOW }, decisions: [] };

      const documents = control(counted, 'documents', step);
      const queries = config.queryTarget === null ? undefined : control(counted, 'queries', step);
      return {
        state: {
          lambdas: { documents: documents.decision.after, queries: queries?.decision.after ?? state.lambdas.queries },
          memory: { documents: documents.memory, queries: queries?.memory ?? state.memory.queries },
          window: EMPTY_WINDOW,
          decisions: state.decisions + 1,
          adjustments: state.adjustments + (documents.decision.after === documents.decision.before ? 0 : 1),
        },
        decisions: [documents.decision, ...(queries ? [queries.decision] : [])],
      };
    },
  };
}

/** What a law computes with: a number that is none would make lambda none. */
function checkNumbers(config: ClfrConfig, run: RunLength): void {
  const { law, interval, measure, target, queryTarget, window } = config;
  checkInteger('steps', run.steps, 1, Number.MAX_SAFE_INTEGER);
  checkInteger('stepsPerEpoch', run.stepsPerEpoch, 1, Number.MAX_SAFE_INTEGER);
  const needed = (...keys: ('gain' | 'integralGain' | 'deadBand' | 'warmup' | 'lambdaMin' | 'lambdaMax')[]) => {
    for (const key of keys) checkNumber(key, config[key], 0, Number.MAX_VALUE);
  };
  if (law === 'quadratic') needed('warmup');
  if (law === 'none' || law === 'quadratic') return;
  needed('gain', 'lambdaMin', 'lambdaMax');
  if (law === 'pi') needed('integralGain', 'deadBand');
  checkChoice('measure', measure, ['nnz', 'flops']);
  checkNumber('target', target, Number.MIN_VALUE, Number.MAX_VALUE);
  if (queryTarget !== null) checkNumber('queryTarget', queryTarget, Number.MIN_VALUE, Number.MAX_VALUE);
  if (interval !== 'epoch') checkInteger('interval', interval, 1, Number.MAX_SAFE_INTEGER);
  checkInteger('window', window, 1, Number.MAX_SAFE_INTEGER);
}

function add(window: ClfrWindow, measurement: ClfrMeasurement, withFrequencies: boolean): ClfrWindow {
  return {
    documents: window.documents + measurement.documents,
    documentTerms: window.documentTerms + measurement.documentTerms,
    queries: window.queries + measurement.queries,
    queryTerms: window.queryTerms + measurement.queryTerms,
    documentFrequencies: withFrequencies ? sum(window.documentFrequencies, measurement.documentFrequencies!) : [],
    queryFrequencies: withFrequencies ? sum(window.queryFrequencies, measurement.queryFrequencies!) : [],
  };
}

function sum(total: number[], counts: ArrayLike<number>): number[] {
  return Array.from(counts, (count, term) => count + (total[term] ?? 0));
}

function measured(window: ClfrWindow, of: 'documents' | 'queries', measure: 'nnz' | 'flops'): number {
  if (measure === 'nnz') {
    return of === 'documents' ? window.documentTerms / window.documents : window.queryTerms / window.queries;
  }
  const products = window.documentFrequencies.reduce((total, count, term) => {
    return total + count * (window.queryFrequencies[term] ?? 0);
  }, 0);
  return products / (window.documents * window.queries);
}

interface Observation {
  value: number;
  target: number;
  lambda: number;
}

type Law = (seen: Observation, memory: LawMemory) => { factor: number; memory: LawMemory };

/** The law as a function from what was measured, and what it remembers, to the factor of lambda. */
function controlLaw(config: ClfrConfig, run: RunLength): Law {
  const { gain } = config;
  switch (config.law) {
    case 'none':
    case 'quadratic':
      return (_, memory) => ({ factor: 1, memory });
    case 'per-step':
      return (seen, memory) => ({ factor: relative((gain / run.stepsPerEpoch) * error(seen)), memory });
    case 'relative':
      return (seen, memory) => ({ factor: relative(gain * error(seen)), memory });
    case 'exponential':
      return (seen, memory) => ({ factor: Math.exp(gain * error(seen)), memory });
    case 'log-ratio':
      return ({ value, target }, memory) => ({ factor: (value / target) ** gain, memory });
    case 'pi':
      return (seen, memory) => proportionalIntegral(seen, memory, config);
    case 'adaptive':
      return (seen, memory) => adaptive(seen, memory, gain);
  }
}

/** Relative error: 0.5 is half as much again as wanted. */
function error({ value, target }: Observation): number {
  return (value - target) / target;
}

function relative(correction: number): number {
  return clamp(1 + correction, 1 / MAX_FACTOR, MAX_FACTOR);
}

/**
 * `relative` with the sum of past errors beside the error itself, so that a steady drift of the model, which leaves the
 * relative law behind by a constant error, is followed too.
 *
 * Anti-windup: an error is not summed while the factor or lambda is at its bound on that side. Inside the dead band lambda
 * stays and the sum fades.
 */
function proportionalIntegral(seen: Observation, memory: LawMemory, config: ClfrConfig) {
  const { integral = 0 } = memory;
  const e = error(seen);
  if (Math.abs(e) <= config.deadBand) return { factor: 1, memory: { integral: integral / 2 } };
  const factor = (sum: number) => relative(config.gain * e + config.integralGain * sum);
  const next = factor(integral + e);
  const bound = e > 0 ? MAX_FACTOR : 1 / MAX_FACTOR;
  const held = e > 0 ? seen.lambda >= config.lambdaMax : seen.lambda <= config.lambdaMin;
  return { factor: next, memory: { integral: next === bound || held ? integral : integral + e } };
}

/** Share of an observation's weight that is left after the next one. */
const FORGETTING = 0.85;
/** What the fit believes before it has seen anything, and how large a squared movement counts as much as that. */
const PRIOR = { persistence: 0.3, weight: 0.02 };
const MAX_PERSISTENCE = 0.8;
/** Most that one update multiplies or divides lambda by, except where a law has no bound: a model that collapses does not come back. */
const MAX_FACTOR = 2;

/**
 * `log-ratio` with gain 1/s, where s = -d log(value) / d log(lambda) is estimated from the run so far, and with the value
 * that lambda is leading to in the place of the one that is there: a model takes a while to follow.
 *
 * Least squares fits y_k = c + p y_(k-1) - b x_k to the logarithms of value and lambda, recent intervals weighing more. A lambda
 * that stays leads to y_k + p/(1-p) (y_k - y_(k-1)), and s = b/(1-p). Before lambda has moved enough to tell, s is 1/gain;
 * it stays within a factor of 4 of that.
 */
function adaptive({ value, target, lambda }: Observation, memory: LawMemory, gain: number) {
  const x = Math.log(lambda);
  // A model without any terms is as far off as one can tell.
  const y = Math.log(Math.max(value, target / 1000));
  const limited = (change: number) => clamp(Math.exp(change), 1 / MAX_FACTOR, MAX_FACTOR);
  const { y: last } = memory;
  if (last === undefined) return { factor: limited(gain * (y - Math.log(target))), memory: { y } };

  const fit = addPoint(memory, { x, y, z: last });
  // Normal equations of the two slopes, with the prior as ridge.
  const { weight: ridge, persistence: p0 } = PRIOR;
  const b0 = (1 - p0) / gain;
  const [zz, xz, xx] = [fit.zz! + ridge, -fit.xz!, fit.xx! + ridge];
  const [zy, xy] = [fit.zy! + ridge * p0, -fit.xy! + ridge * b0];
  const determinant = zz * xx - xz * xz;
  const p = clamp((zy * xx - xy * xz) / determinant, 0, MAX_PERSISTENCE);
  const b = (zz * xy - xz * zy) / determinant;
  const slope = clamp(b / (1 - p), 1 / (4 * gain), 4 / gain);
  const settled = y + (p / (1 - p)) * (y - last);
  return { factor: limited((settled - Math.log(target)) / slope), memory: { ...fit, y } };
}

/** Weighted means and second moments about them, updated by one point (West 1979, "Updating mean and variance estimates"). */
function addPoint(memory: LawMemory, { x, y, z }: { x: number; y: number; z: number }): LawMemory {
  const weight = FORGETTING * (memory.weight ?? 0) + 1;
  const kept = (weight - 1) / weight;
  const [dx, dy, dz] = [x - (memory.mx ?? x), y - (memory.my ?? y), z - (memory.mz ?? z)];
  const moment = (name: string, product: number) => FORGETTING * (memory[name] ?? 0) + product * kept;
  return {
    weight,
    mx: x - dx * kept,
    my: y - dy * kept,
    mz: z - dz * kept,
    xx: moment('xx', dx * dx),
    xy: moment('xy', dx * dy),
    xz: moment('xz', dx * dz),
    zz: moment('zz', dz * dz),
    zy: moment('zy', dz * dy),
  };
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
