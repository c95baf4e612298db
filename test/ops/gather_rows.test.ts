import { describe, expect, test } from 'vitest';
import { devices, runOp, unwritten } from '../support/native-ops';
import { cases } from './gather_rows.cases';

describe.each(devices)('gather_rows on %s', (device) => {
  test.each(cases)('copies the rows asked for: $name', ({ args }) => {
    const { C, N } = args;
    const { out } = runOp(device, 'gather_rows', args, { out: unwritten(N * C) });
    expect([...out]).toEqual([...args.rows].flatMap((row) => [...args.in.subarray(row * C, (row + 1) * C)]));
  });
});
