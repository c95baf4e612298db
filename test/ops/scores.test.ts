import { describe, expect, test } from 'vitest';
import { devices, expectClose, rowsStandAlone, runOp, unwritten } from '../support/native-ops';
import { cases, reference, type ScoresArguments } from './scores.cases';

const run = (device: string, args: ScoresArguments) =>
  runOp(device, 'scores', args, {
    scores: unwritten(args.Q * args.D),
    query_squares: unwritten(args.Q),
    document_squares: unwritten(args.D),
  });

describe.each(devices)('scores on %s', (device) => {
  test.each(cases)('gives inner products and squared norms: $name', ({ args }) => {
    const out = run(device, args);
    expectClose(out.scores, (round) => reference(args, round).scores);
    expectClose(out.query_squares, (round) => reference(args, round).query_squares);
    expectClose(out.document_squares, (round) => reference(args, round).document_squares);
  });

  test.skipIf(!rowsStandAlone(device))('a score does not depend on what else is in the batch', () => {
    const { args } = cases[2]!;
    const { Q, D, V } = args;
    const together = run(device, args).scores;
    for (let q = 0; q < Q; q++) {
      for (let d = 0; d < D; d++) {
        const alone = {
          Q: 1,
          D: 1,
          V,
          queries: args.queries.subarray(q * V, (q + 1) * V),
          documents: args.documents.subarray(d * V, (d + 1) * V),
        };
        expect(run(device, alone).scores[0]).toBe(together[q * D + d]);
      }
    }
  });
});
