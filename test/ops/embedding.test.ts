import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, reference } from './embedding.cases';

describe.each(devices)('embedding on %s', (device) => {
  test.each(cases)('sums and normalises $name', ({ args }) => {
    const { out } = runOp(device, 'embedding', args, { out: unwritten(args.T * args.C) });
    expectClose(out, (round) => reference(args, round).out);
  });

  test.each(cases)('gives the sum too when asked, and the same rows: $name', ({ args }) => {
    const size = args.T * args.C;
    const { out, sum } = runOp(device, 'embedding', args, { out: unwritten(size), sum: unwritten(size) });
    expectClose(sum, (round) => reference(args, round).sum);
    expect(out).toEqual(runOp(device, 'embedding', args, { out: unwritten(size) }).out);
  });

  test('positions count from 0 in each text', () => {
    const { args } = cases.find(({ name }) => name.startsWith('several texts, some'))!;
    const twice = { ...args, B: 2, T: 2, tokens: Int32Array.of(4, 4), offsets: Int32Array.of(0, 1, 2) };
    const { out } = runOp(device, 'embedding', twice, { out: unwritten(2 * args.C) });
    expect(out.subarray(args.C)).toEqual(out.subarray(0, args.C));
  });
});
