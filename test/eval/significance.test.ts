import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pairedTTest, randomisationTest, valuesOf } from '../../lib/eval/significance';
import { thrown } from './thrown';

const { perQuery, significance } = JSON.parse(readFileSync(join(__dirname, 'fixtures', 'metrics.json'), 'utf8')) as {
  perQuery: Record<string, Record<string, number>>;
  significance: { t: number; p: number; exactP: number };
};
const all = new Map(Object.entries(perQuery));
const a = valuesOf(all, 'ndcg_cut_10');
const b = valuesOf(all, 'ndcg_cut_5');
const queries = (...values: number[]) => new Map(values.map((value, i) => [`q${i}`, value]));

describe('pairedTTest', () => {
  test('t and p are those of scipy', () => {
    const result = pairedTTest(a, b);
    // Both are float64 throughout; the series of ours are cut at 1e-15.
    expect(result.t).toBeCloseTo(significance.t, 10);
    expect(result.p / significance.p).toBeCloseTo(1, 10);
    expect(result.queries).toBe(32);
  });

  test.each([
    // scipy.stats.t.isf(0.025, df).
    [1, 12.7062047362],
    [4, 2.7764451052],
    [30, 2.042272456301],
    [322, 1.96735858532],
  ])('with %d degrees of freedom p is 0.05 at t = %d', (df, t) => {
    // Differences of mean m and variance 1 give t = m sqrt(n).
    const n = df + 1;
    const spread = n % 2 === 0 ? Math.sqrt((n - 1) / n) : 1;
    const noise = Array.from({ length: n }, (_, i) =>
      n % 2 === 1 && i === n - 1 ? 0 : i % 2 === 0 ? spread : -spread,
    );
    const shifted = noise.map((value) => value + t / Math.sqrt(n));
    expect(pairedTTest(queries(...shifted), queries(...shifted.map(() => 0))).p).toBeCloseTo(0.05, 9);
  });

  test('equal systems have p = 1, a constant difference has p = 0', () => {
    expect(pairedTTest(a, a)).toMatchObject({ t: 0, p: 1, difference: 0 });
    expect(pairedTTest(queries(1, 1), queries(0.5, 0.5))).toMatchObject({ t: Number.POSITIVE_INFINITY, p: 0 });
  });
});

describe('randomisationTest', () => {
  test('a few queries are counted out, with the p of scipy', () => {
    const first = (values: Map<string, number>) => new Map([...values].slice(0, 12));
    expect(randomisationTest(first(a), first(b)).p).toBe(significance.exactP);
  });

  test('three queries that agree have p = 2/8', () => {
    expect(randomisationTest(queries(0.3, 0.2, 0.1), queries(0.2, 0.1, 0)).p).toBe(0.25);
  });

  test('drawn assignments come near the p that counting gives', () => {
    const values = Array.from({ length: 14 }, (_, i) => Math.sin(i * i) + 0.3);
    const zero = queries(...values.map(() => 0));
    const exact = randomisationTest(queries(...values), zero).p;
    const drawn = randomisationTest(queries(...values), zero, { samples: 16_000 }).p;
    expect(drawn).not.toBe(exact);
    // Five standard errors of a share of 16,000.
    expect(Math.abs(drawn - exact)).toBeLessThan(5 * Math.sqrt((exact * (1 - exact)) / 16_000));
  });

  test('the same seed gives the same p, another seed another', () => {
    const p = (seed: number) => randomisationTest(a, b, { samples: 2000, seed }).p;
    expect(p(3)).toBe(p(3));
    expect(new Set([1, 2, 3, 4, 5].map(p)).size).toBeGreaterThan(1);
  });

  test('the order of the systems turns the sign of the difference and nothing else', () => {
    const forward = randomisationTest(a, b, { samples: 1000 });
    const backward = randomisationTest(b, a, { samples: 1000 });
    expect(backward.difference).toBe(-forward.difference);
    expect(backward.p).toBe(forward.p);
  });

  test('differences come by query', () => {
    expect([...randomisationTest(queries(1, 0.5), queries(0.5, 0.5)).perQuery]).toEqual([
      ['q0', 0.5],
      ['q1', 0],
    ]);
  });
});

test('systems with other queries are refused', () => {
  expect(thrown(() => randomisationTest(queries(1, 2), queries(1))).code).toBe('ERR_QUERIES_MISMATCH');
  expect(
    thrown(() =>
      pairedTTest(
        queries(1, 2),
        new Map([
          ['q0', 1],
          ['x', 1],
        ]),
      ),
    ).code,
  ).toBe('ERR_QUERIES_MISMATCH');
  expect(thrown(() => pairedTTest(queries(1), queries(2))).code).toBe('ERR_QUERIES_MISMATCH');
  expect(thrown(() => randomisationTest(queries(), queries())).code).toBe('ERR_QUERIES_MISMATCH');
});

test('a metric that the evaluation does not have is refused', () => {
  expect(thrown(() => randomisationTest(valuesOf(all, 'P_7'), b)).code).toBe('ERR_QUERIES_MISMATCH');
});
