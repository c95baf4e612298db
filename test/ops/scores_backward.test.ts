import { describe, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, reference } from './scores_backward.cases';

describe.each(devices)('scores_backward on %s', (device) => {
  test.each(cases)('assigns the gradients of queries and documents: $name', ({ args }) => {
    const out = runOp(device, 'scores_backward', args, {
      d_queries: unwritten(args.Q * args.V),
      d_documents: unwritten(args.D * args.V),
    });
    expectClose(out.d_queries, (round) => reference(args, round).d_queries);
    expectClose(out.d_documents, (round) => reference(args, round).d_documents);
  });
});
