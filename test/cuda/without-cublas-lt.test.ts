import { describe, expect, test, vi } from 'vitest';
import { native } from '../../lib/native';
import { cases, reference } from '../ops/linear.cases';
import { expectClose, runOp, unwritten } from '../support/native-ops';

// Read when the library is opened, which an import does.
vi.hoisted(() => {
  process.env.FLES_EMULATE_CUBLASLT = 'absent';
});

const cuda = native.platform().backends.find(({ name }) => name === 'cuda');

describe.skipIf(!cuda?.description.startsWith('emulated'))('linear on cuda without cuBLASLt', () => {
  const typed = (['float32', 'bfloat16'] as const).flatMap((dtype) => cases.map((one) => ({ ...one, dtype })));

  test.each(typed)('computes $name in $dtype', ({ args, dtype }) => {
    const { out } = runOp('cuda', 'linear', { ...args, dtype }, { out: unwritten(args.T * args.N) });
    const extra = args.activation === 'gelu' ? 5.6 * 1.2e-7 : 0; // as in linear.test.ts
    expectClose(out, (round) => reference(args, dtype, round), extra);
    expect(out).not.toContain(Number.NaN);
  });
});
