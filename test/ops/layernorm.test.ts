import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, reference } from './layernorm.cases';

describe.each(devices)('layernorm on %s', (device) => {
  test.each(cases)('normalises $name', ({ args }) => {
    const { out } = runOp(device, 'layernorm', args, { out: unwritten(args.T * args.C) });
    expectClose(out, (round) => reference(args, round));
  });

  test('rows without variance become beta', () => {
    const { args } = cases.find(({ name }) => name.includes('variance is 0'))!;
    const { out } = runOp(device, 'layernorm', args, { out: unwritten(args.T * args.C) });
    expect(out.subarray(0, args.C)).toEqual(args.beta);
  });
});
