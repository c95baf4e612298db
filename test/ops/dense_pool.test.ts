import { describe, expect, test } from 'vitest';
import { devices, expectClose, runOp, unwritten } from '../support/native-ops';
import { cases, type DensePoolArguments, reference } from './dense_pool.cases';

const run = (device: string, args: DensePoolArguments) =>
  runOp(device, 'dense_pool', args, { out: unwritten(args.B * args.C) }).out;

describe.each(devices)('dense_pool on %s', (device) => {
  test.each(cases)('pools $name', ({ args }) => {
    expectClose(run(device, args), (round) => reference(args, round));
  });

  test('a text without tokens gets zeros, normalised or not', () => {
    for (const { args } of cases) {
      const out = run(device, args);
      for (let b = 0; b < args.B; b++) {
        if (args.offsets[b + 1]! > args.offsets[b]!) continue;
        expect([...out.subarray(b * args.C, (b + 1) * args.C)]).toEqual(new Array(args.C).fill(0));
      }
    }
  });
});
