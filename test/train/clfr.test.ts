import { describe, expect, test } from 'vitest';
import { type ClfrConfig, type ClfrMeasurement, createClfr } from '../../lib/train/clfr';
import { config, simulate, worstError } from './plant';

const v12b = {
  ...config,
  law: 'relative',
  gain: 0.1,
  target: 400,
  interval: 6250,
  window: 500,
  lambdaMin: 1e-7,
  lambdaMax: 1e-2,
} as const;

const step = (step: number, terms: number, documents = 256): ClfrMeasurement => ({
  step,
  documents,
  documentTerms: Math.round(terms * documents),
  queries: 32,
  queryTerms: 32 * 20,
});

/** Lambda after one update at `value` terms a document. */
function once(change: Partial<ClfrConfig>, value: number, lambda = 1e-3): number {
  const clfr = createClfr({ ...config, interval: 1, window: 1, ...change }, { steps: 10, stepsPerEpoch: 5 });
  return clfr.update(clfr.start({ documents: lambda, queries: 0 }), step(1, value, 1)).state.lambdas.documents;
}

describe('the published run', () => {
  test('400 wanted and 933 measured turn 3.0e-5 into 3.4e-5 (+13%) at step 6,250, the only update of 12,500 steps', () => {
    const clfr = createClfr(v12b, { steps: 12_500, stepsPerEpoch: 6250 });
    let state = clfr.start({ documents: 3e-5, queries: 3e-5 });
    const decisions = [];
    for (let i = 1; i <= 12_500; i++) {
      // Only the 500 steps before the update count.
      const next = clfr.update(state, step(i, i > 5750 && i <= 6250 ? 933 : 5000));
      state = next.state;
      decisions.push(...next.decisions);
    }
    expect(decisions).toEqual([
      expect.objectContaining({ step: 6250, of: 'documents', value: 933, target: 400, before: 3e-5, clamped: null }),
    ]);
    expect(decisions[0]!.after).toBeCloseTo(3.4e-5, 7);
    expect(decisions[0]!.after / 3e-5).toBeCloseTo(1.13325, 12);
    expect(state.lambdas).toEqual({ documents: decisions[0]!.after, queries: 3e-5 });
  });

  test('an interval of an epoch is the same interval', () => {
    const clfr = createClfr({ ...v12b, interval: 'epoch' }, { steps: 12_500, stepsPerEpoch: 6250 });
    let state = clfr.start({ documents: 3e-5, queries: 0 });
    for (let i = 1; i < 6250; i++) state = clfr.update(state, step(i, 933)).state;
    expect(state.lambdas.documents).toBe(3e-5);
    expect(clfr.update(state, step(6250, 933)).state.lambdas.documents).toBeCloseTo(3.4e-5, 7);
  });
});

describe('the arithmetic of one update', () => {
  test('relative: 1 + gain x error, at least half and at most double', () => {
    expect(once({ law: 'relative', gain: 0.5 }, 180)).toBeCloseTo(1.25e-3, 12);
    expect(once({ law: 'relative', gain: 0.5 }, 60)).toBeCloseTo(0.75e-3, 12);
    expect(once({ law: 'relative', gain: 1 }, 1200)).toBeCloseTo(2e-3, 12);
    expect(once({ law: 'relative', gain: 1 }, 0)).toBeCloseTo(0.5e-3, 12);
  });

  test('per-step: relative at every step with the gain of an epoch shared out', () => {
    const law = { law: 'per-step', gain: 0.5, interval: 'epoch', window: 500 } as const;
    expect(once(law, 180)).toBeCloseTo(1e-3 * (1 + 0.1 * 0.5), 12);
  });

  test('exponential: e to the gain x error', () => {
    expect(once({ law: 'exponential', gain: 0.5 }, 180)).toBeCloseTo(1e-3 * Math.exp(0.25), 12);
  });

  test('log-ratio: the ratio to the power of the gain', () => {
    expect(once({ law: 'log-ratio', gain: 0.5 }, 480)).toBeCloseTo(2e-3, 12);
  });

  test('pi: the first error counts in both terms, and none inside the dead band', () => {
    expect(once({ law: 'pi', gain: 0.5, integralGain: 0.1 }, 180)).toBeCloseTo(1e-3 * (1 + 0.25 + 0.05), 12);
    expect(once({ law: 'pi', gain: 0.5, deadBand: 0.1 }, 131)).toBe(1e-3);
  });

  test('pi: a larger error never corrects less, also where the factor is at its bound', () => {
    const after = [500, 600, 700, 840, 1000].map((nnz) => once({ law: 'pi', gain: 0.1, integralGain: 0.1 }, nnz));
    expect(after).toEqual([...after].sort((a, b) => a - b));
    expect(after.at(-1)).toBeCloseTo(2e-3, 12);
  });

  test('adaptive: log-ratio with the gain given, until it knows better', () => {
    expect(once({ law: 'adaptive', gain: 0.5 }, 480)).toBeCloseTo(2e-3, 12);
  });

  test('none and quadratic decide nothing', () => {
    for (const law of ['none', 'quadratic'] as const) expect(once({ law }, 480)).toBe(1e-3);
  });

  test('a target of queries has a loop and a decision of its own', () => {
    const clfr = createClfr({ ...config, interval: 1, queryTarget: 10 }, { steps: 10, stepsPerEpoch: 10 });
    const { state, decisions } = clfr.update(clfr.start({ documents: 1e-3, queries: 2e-3 }), step(1, 120));
    expect(decisions.map(({ of, value, target }) => ({ of, value, target }))).toEqual([
      { of: 'documents', value: 120, target: 120 },
      { of: 'queries', value: 20, target: 10 },
    ]);
    expect(state.lambdas).toEqual({ documents: 1e-3, queries: 4e-3 });
    expect(state).toMatchObject({ decisions: 1, adjustments: 0 });
  });
});

describe('what is measured', () => {
  test('nnz is the mean over all documents of the window, however they are spread over its steps', () => {
    const clfr = createClfr({ ...config, interval: 4, window: 2 }, { steps: 10, stepsPerEpoch: 10 });
    let state = clfr.start({ documents: 1e-3, queries: 0 });
    for (const [i, terms, documents] of [
      [1, 9999, 10],
      [2, 9999, 10],
      [3, 100, 30],
    ] as const) {
      state = clfr.update(state, step(i, terms, documents)).state;
    }
    expect(clfr.update(state, step(4, 200, 10)).decisions[0]!.value).toBe(125);
  });

  test('flops is the expected products of a pair over all texts of the window, not the mean of the steps', () => {
    const clfr = createClfr(
      { ...config, measure: 'flops', target: 1, interval: 2, window: 2 },
      { steps: 10, stepsPerEpoch: 10 },
    );
    const seen = (i: number, documentFrequencies: number[], queryFrequencies: number[]) => ({
      ...step(i, 1, 4),
      queries: 2,
      documentFrequencies: Int32Array.from(documentFrequencies),
      queryFrequencies: Int32Array.from(queryFrequencies),
    });
    let { state } = clfr.update(clfr.start({ documents: 1e-3, queries: 0 }), seen(1, [4, 0, 1], [2, 1, 0]));
    state = JSON.parse(JSON.stringify(state));
    const { decisions } = clfr.update(state, seen(2, [2, 2, 0], [0, 2, 1]));
    // p of documents 6/8, 2/8, 1/8; of queries 2/4, 3/4, 1/4.
    expect(decisions[0]!.value).toBeCloseTo((6 * 2 + 2 * 3 + 1 * 1) / (8 * 4), 15);
  });

  test('nothing is decided at the last step', () => {
    const clfr = createClfr({ ...config, interval: 5, window: 1 }, { steps: 10, stepsPerEpoch: 10 });
    let state = clfr.start({ documents: 1e-3, queries: 0 });
    const steps = [];
    for (let i = 1; i <= 10; i++) {
      const next = clfr.update(state, step(i, 200));
      state = next.state;
      steps.push(...next.decisions.map((decision) => decision.step));
    }
    expect(steps).toEqual([5]);
  });

  test('an update leaves the state it was given alone, and equal inputs give equal results', () => {
    const clfr = createClfr({ ...config, law: 'adaptive', interval: 2, window: 2 }, { steps: 100, stepsPerEpoch: 10 });
    let state = clfr.start({ documents: 1e-3, queries: 0 });
    for (let i = 1; i < 20; i++) {
      const before = JSON.stringify(state);
      const next = clfr.update(state, step(i, 150 - i));
      expect(JSON.stringify(state)).toBe(before);
      expect(clfr.update(JSON.parse(before), step(i, 150 - i))).toEqual(next);
      state = next.state;
    }
  });
});

test('quadratic: lambda grows with the square of the step until the warm-up is over (SPLADE)', () => {
  const clfr = createClfr({ ...config, law: 'quadratic', warmup: 10 }, { steps: 100, stepsPerEpoch: 100 });
  const state = clfr.start({ documents: 1, queries: 2 });
  const lambdas = [1, 5, 10, 50].map((i) => clfr.lambdas(state, i).documents);
  expect(lambdas).toEqual([0.1 ** 2, 0.25, 1, 1]);
  expect(clfr.lambdas(state, 5).queries).toBe(0.5);
});

describe('on a plant that answers at once', () => {
  const plant = { slope: 0.4, lag: 50, noise: 0.1 };

  test('without control the terms stay where lambda leads', () => {
    expect(simulate(plant, { law: 'none' }, 1e-4).terms.at(-1)).toBeCloseTo(120 * 10 ** 0.4, 0);
  });

  test('the relative law holds the target within 10% from wherever lambda starts', () => {
    for (const lambda of [1e-4, 1e-3, 1e-2]) {
      expect(worstError(simulate(plant, { law: 'relative' }, lambda), 1200)).toBeLessThan(0.1);
    }
  });

  test('every closed loop ends within 5%', () => {
    const gains = { 'per-step': 6, relative: 1, exponential: 1, 'log-ratio': 1, pi: 1, adaptive: 1 };
    for (const [law, gain] of Object.entries(gains)) {
      const run = simulate(plant, { law: law as ClfrConfig['law'], gain }, 1e-2);
      expect({ law, error: worstError(run, 1800) }).toEqual({ law, error: expect.toSatisfy((e: number) => e < 0.05) });
    }
  });

  test('the dead band ends the adjustments', () => {
    const adjustments = (law: ClfrConfig['law']) => simulate(plant, { law, deadBand: 0.05 }, 1e-3).adjustments;
    expect(adjustments('relative')).toBe(19);
    expect(adjustments('pi')).toBeLessThan(10);
  });
});

describe('on a plant that answers slowly', () => {
  const plant = { slope: 0.4, lag: 200, noise: 0.1 };

  test('adaptive holds the target within 5% after half of the run; relative with the same gain is still more than 8% off', () => {
    for (const lambda of [1e-4, 1e-2]) {
      expect(worstError(simulate(plant, { law: 'adaptive' }, lambda), 1000)).toBeLessThan(0.05);
      expect(worstError(simulate(plant, { law: 'relative' }, lambda), 1000)).toBeGreaterThan(0.08);
    }
  });

  test('adaptive stays within 10% when changes count 50 steps late', () => {
    expect(worstError(simulate({ ...plant, lag: 100, delay: 50 }, { law: 'adaptive' }, 1e-4), 1500)).toBeLessThan(0.1);
  });

  test('adaptive finds the gain that a steeper or flatter plant needs', () => {
    for (const slope of [0.25, 1.5]) {
      expect(worstError(simulate({ ...plant, slope, lag: 100 }, { law: 'adaptive' }, 1e-4), 1400)).toBeLessThan(0.06);
    }
  });
});

describe('on a plant that drifts', () => {
  test('the integral follows a drift that leaves the relative law 10% behind', () => {
    const plant = { slope: 0.4, lag: 100, drift: 5e-4 };
    expect(worstError(simulate(plant, { law: 'relative' }, 1e-3), 1800)).toBeGreaterThan(0.1);
    expect(worstError(simulate(plant, { law: 'pi' }, 1e-3), 1800)).toBeLessThan(0.05);
  });
});

describe('on a plant that cannot reach the target', () => {
  test('lambda goes to its bound and every decision there says so', () => {
    for (const law of ['relative', 'log-ratio', 'pi', 'adaptive'] as const) {
      const high = simulate({ slope: 0.4, lag: 50, least: 150 }, { law, lambdaMax: 0.01 }, 1e-3, 4000);
      expect({ law, lambda: high.lambda, clamped: high.decisions.at(-1)!.clamped }).toEqual({
        law,
        lambda: 0.01,
        clamped: 'max',
      });
      const low = simulate({ slope: 0.4, lag: 50, most: 60 }, { law, lambdaMin: 1e-4 }, 1e-3, 4000);
      expect({ law, lambda: low.lambda, clamped: low.decisions.at(-1)!.clamped }).toEqual({
        law,
        lambda: 1e-4,
        clamped: 'min',
      });
    }
  });

  test('the sum of errors does not grow while lambda is at its bound, so the way back is as fast', () => {
    const clfr = createClfr(
      { ...config, law: 'pi', interval: 1, window: 1, lambdaMax: 1e-2 },
      { steps: 1e6, stepsPerEpoch: 1 },
    );
    let state = clfr.start({ documents: 1e-2, queries: 0 });
    for (let i = 1; i <= 100; i++) state = clfr.update(state, step(i, 180)).state;
    expect(state.memory.documents).toEqual({ integral: 0 });
    expect(clfr.update(state, step(101, 60)).state.lambdas.documents).toBeLessThan(0.6e-2);
  });

  test('a model without any terms left brings lambda down, to a number', () => {
    for (const law of ['per-step', 'relative', 'exponential', 'log-ratio', 'pi', 'adaptive'] as const) {
      const lambda = once({ law }, 0);
      expect({ law, lower: lambda < 1e-3, finite: Number.isFinite(lambda) }).toEqual({
        law,
        lower: true,
        finite: true,
      });
    }
  });
});

describe('a controller of a program of its own', () => {
  test.each<[Partial<ClfrConfig>, string]>([
    [{ gain: undefined }, 'gain is undefined, expected a number in 0..'],
    [{ target: 0 }, 'target is 0, expected a number above 0'],
    [{ law: 'pi', integralGain: Number.NaN }, 'integralGain is NaN'],
    [{ law: 'quadratic', warmup: undefined }, 'warmup is undefined'],
    [{ interval: 0 }, 'interval is 0, expected an integer in 1..'],
    [{ window: 0.5 }, 'window is 0.5, expected an integer in 1..'],
    [{ queryTarget: undefined }, 'queryTarget is undefined'],
  ])('refuses %j, which would make lambda no number', (change, message) => {
    const make = () => createClfr({ ...v12b, ...change }, { steps: 10, stepsPerEpoch: 5 });
    expect(make).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION_RANGE', message: expect.stringContaining(message) }),
    );
  });

  test('refuses a run without steps and products without the texts that have each term', () => {
    const none = () => createClfr(v12b, { steps: 0, stepsPerEpoch: 5 });
    expect(none).toThrow(expect.objectContaining({ code: 'ERR_OPTION_RANGE' }));
    const clfr = createClfr({ ...v12b, measure: 'flops', interval: 1 }, { steps: 10, stepsPerEpoch: 5 });
    const update = () => clfr.update(clfr.start({ documents: 1e-3, queries: 0 }), step(1, 200));
    expect(update).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT_TYPE' }));
  });
});
