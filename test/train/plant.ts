import { type Clfr, type ClfrConfig, type ClfrDecision, createClfr, type RunLength } from '../../lib/train/clfr';

export const config: ClfrConfig = {
  law: 'relative',
  measure: 'nnz',
  target: 120,
  queryTarget: null,
  gain: 1,
  integralGain: 0.1,
  deadBand: 0.02,
  interval: 100,
  window: 50,
  warmup: 1,
  lambdaMin: 1e-8,
  lambdaMax: 1,
};

/**
 * A model as the controller sees it: the logarithm of its terms a document follows `log(120) - slope log(lambda / 1e-3)`
 * like a first-order lag, with a drift, noise and bounds. It starts with 252 terms.
 */
export interface Plant {
  slope: number;
  /** Steps in which the difference to where lambda leads shrinks to 37%. */
  lag: number;
  /** Steps before a change of lambda begins to count. */
  delay?: number;
  /** Growth of log terms a step that lambda does not cause. */
  drift?: number;
  /** Relative spread of what one step measures. */
  noise?: number;
  /** Bounds of the terms a document. */
  least?: number;
  most?: number;
}

export interface Simulation {
  /** Terms a document after each step, free of noise. */
  terms: number[];
  decisions: ClfrDecision[];
  lambda: number;
  adjustments: number;
}

const DOCUMENTS = 1000;

/** Runs a controller on a plant. `lambda` of 1e-3 is right where nothing drifts. */
export function simulate(plant: Plant, change: Partial<ClfrConfig>, lambda: number, steps = 2000): Simulation {
  const run: RunLength = { steps, stepsPerEpoch: 500 };
  const clfr: Clfr = createClfr({ ...config, ...change }, run);
  const { slope, lag, delay = 0, drift = 0, noise = 0, least = 0, most = Number.MAX_VALUE } = plant;
  const random = uniform();
  let state = clfr.start({ documents: lambda, queries: 0 });
  let log = Math.log(252);
  const lambdas: number[] = [];
  const terms: number[] = [];
  const decisions: ClfrDecision[] = [];
  for (let step = 1; step <= steps; step++) {
    lambdas.push(clfr.lambdas(state, step).documents);
    const acting = lambdas[Math.max(0, step - 1 - delay)]!;
    log += (Math.log(120) - slope * Math.log(acting / 1e-3) + drift * step - log) / lag;
    const now = Math.min(most, Math.max(least, Math.exp(log)));
    terms.push(now);
    const seen = now * (1 + noise * 2 * (random() + random() + random() - 1.5));
    const measurement = { step, documents: DOCUMENTS, documentTerms: Math.round(DOCUMENTS * seen) };
    const next = clfr.update(state, { ...measurement, queries: 1, queryTerms: 1 });
    state = JSON.parse(JSON.stringify(next.state));
    decisions.push(...next.decisions);
  }
  return { terms, decisions, lambda: state.lambdas.documents, adjustments: state.adjustments };
}

/** Largest relative distance from the target over the steps from `begin` on. */
export function worstError({ terms }: Simulation, begin: number, target = config.target): number {
  return Math.max(...terms.slice(begin).map((value) => Math.abs(value - target) / target));
}

/** The minimal standard generator (Park and Miller 1988), so that a simulation is the same every time. */
function uniform(): () => number {
  let seed = 1;
  return () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
}
