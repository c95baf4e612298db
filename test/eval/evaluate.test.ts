import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../lib/eval/evaluate';
import { namedMetric } from '../../lib/eval/metrics';
import { compareBytes, type Qrels, type Run, rank } from '../../lib/eval/ranking';
import { readQrels, readRun } from '../../lib/eval/trec';
import { thrown } from './thrown';

const fixtures = join(__dirname, 'fixtures');

function qrelsOf(judged: Record<string, number>): Qrels {
  return new Map([['q', new Map(Object.entries(judged))]]);
}

function runOf(...documents: [document: string, score: number][]): Run {
  return new Map([['q', documents.map(([document, score]) => ({ document, score }))]]);
}

describe('evaluate against trec_eval', () => {
  const expected = JSON.parse(readFileSync(join(fixtures, 'metrics.json'), 'utf8')) as {
    metrics: Record<string, number>;
    perQuery: Record<string, Record<string, number>>;
  };
  const load = async () => {
    const qrels = await readQrels(join(fixtures, 'metrics.qrels'));
    const run = await readRun(join(fixtures, 'metrics.run'));
    return evaluate(qrels, run, { metrics: Object.keys(expected.metrics), perQuery: true });
  };

  test('every metric of every query equals trec_eval, ties, odd ids and negative relevance included', async () => {
    const { perQuery } = await load();
    expect([...perQuery!.keys()].sort()).toEqual(Object.keys(expected.perQuery).sort());
    for (const [query, values] of perQuery!) {
      for (const [name, value] of Object.entries(values)) {
        // Both sum a few dozen float64 terms, in another order.
        expect(value, `${name} of ${query}`).toBeCloseTo(expected.perQuery[query]![name]!, 12);
      }
    }
  });

  test('means run over all judged queries', async () => {
    const { metrics, queries } = await load();
    expect(queries).toBe(32);
    for (const [name, value] of Object.entries(metrics)) expect(value).toBeCloseTo(expected.metrics[name]!, 12);
  });

  test('a judged query without results counts 0 and is reported, an unjudged one does not count', async () => {
    const { unanswered, unjudged, perQuery } = await load();
    expect(unanswered).toEqual(['unanswered']);
    expect(unjudged).toBe(1);
    expect(perQuery!.get('unanswered')!.ndcg_cut_10).toBe(0);
    expect(perQuery!.has('unjudged')).toBe(false);
  });
});

describe('ties', () => {
  test('equal scores rank the later document id first', () => {
    const { metrics } = evaluate(qrelsOf({ a: 1 }), runOf(['a', 1], ['b', 1]), { metrics: ['recip_rank'] });
    expect(metrics.recip_rank).toBe(1 / 2);
  });

  test('scores that are equal in float32 are equal', () => {
    const { metrics } = evaluate(qrelsOf({ a: 1 }), runOf(['a', 1 + 1e-12], ['b', 1]), { metrics: ['recip_rank'] });
    expect(metrics.recip_rank).toBe(1 / 2);
  });

  test('ids compare by their UTF-8 bytes', () => {
    const ids = ['a', 'ab', 'b', 'é', '漢', '\uff5e', '😀', '😀a', '😁', ''];
    const byBytes = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect([...ids].sort(compareBytes)).toEqual(byBytes);
    expect([...ids].sort()).not.toEqual(byBytes);
  });

  test('ranking leaves the run as it was', () => {
    const run = runOf(['a', 1.1], ['b', 2.2]);
    rank(run.get('q')!);
    expect(run).toEqual(runOf(['a', 1.1], ['b', 2.2]));
  });
});

describe('names', () => {
  test('a metric takes any cut-off', () => {
    const run = runOf(['a', 3], ['b', 2], ['c', 1]);
    const { metrics } = evaluate(qrelsOf({ c: 1 }), run, { metrics: ['recall_2', 'recall_3', 'P_3', 'success_2'] });
    expect(metrics).toEqual({ recall_2: 0, recall_3: 1, P_3: 1 / 3, success_2: 0 });
  });

  test('a metric that is asked for twice is one', () => {
    const run = runOf(['a', 3], ['b', 2]);
    const { metrics } = evaluate(qrelsOf({ b: 1 }), run, { metrics: ['recip_rank', 'P_2', 'recip_rank'] });
    expect(metrics).toEqual({ recip_rank: 1 / 2, P_2: 1 / 2 });
  });

  test.each(['ndcg_10', 'P', 'recall', 'map_10', 'ndcg_cut_0', 'recall_-1', '', 'constructor'])(
    '%j is refused',
    (name) => {
      expect(thrown(() => namedMetric(name)).code).toBe('ERR_METRIC_NAME');
    },
  );

  test('a slip of the keyboard is answered with the metric that was meant', () => {
    expect(thrown(() => namedMetric('recipe_rank')).message).toContain('did you mean "recip_rank"?');
  });
});

test('a run that lists a document twice is refused', () => {
  expect(thrown(() => evaluate(qrelsOf({ a: 1 }), runOf(['a', 2], ['a', 1]))).code).toBe('ERR_RUN_DUPLICATE');
});

test('no judgements at all are refused', () => {
  expect(thrown(() => evaluate(new Map(), new Map())).code).toBe('ERR_QRELS_EMPTY');
});
