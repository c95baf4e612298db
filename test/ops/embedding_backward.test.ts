import { describe, expect, test } from 'vitest';
import { devices, expectClose, offsetsOf, randomFloats, runOp } from '../support/native-ops';
import { cases, type EmbeddingBackwardArguments, reference } from './embedding_backward.cases';

const before = 0.5;

function run(device: string, args: EmbeddingBackwardArguments, start = before) {
  const filled = (rows: number) => new Float32Array(rows * args.C).fill(start);
  return runOp(device, 'embedding_backward', args, {
    d_word: filled(args.V),
    d_position: filled(args.P),
    d_type: filled(1),
  });
}

describe.each(devices)('embedding_backward on %s', (device) => {
  test.each(cases)('adds each row to those of its word, its position and its type: $name', ({ args }) => {
    const out = run(device, args);
    for (const table of ['d_word', 'd_position', 'd_type'] as const) {
      expectClose(out[table], (round) => reference(args, before, round)[table]);
    }
  });

  test('no other row is touched', () => {
    const { args } = cases[0]!;
    const { d_word, d_position } = run(device, args, -0);
    const touched = (table: Float32Array) =>
      Array.from({ length: table.length / args.C }, (_, row) => row).filter(
        (row) => !Object.is(table[row * args.C], -0),
      );
    expect([touched(d_word), touched(d_position)]).toEqual([[18], [0]]);
  });

  test('the type has no gradient when it is not asked for', () => {
    const { args } = cases[1]!;
    const out = { d_word: new Float32Array(args.V * args.C), d_position: new Float32Array(args.P * args.C) };
    const { d_word, d_position } = run(device, args, 0);
    expect(runOp(device, 'embedding_backward', args, out)).toEqual({ d_word, d_position });
  });

  test('word gradients of a batch in parts are those of the whole batch, bit for bit', () => {
    const lengths = [20, 30, 9];
    const [T, C, V, P] = [59, 12, 7, 30];
    const tokens = Int32Array.from({ length: T }, (_, t) => (t * 5) % V);
    const d_sum = randomFloats(T * C, 3);
    const whole = run(device, { B: 3, T, C, V, P, tokens, offsets: offsetsOf(lengths), d_sum }, 0);
    const d_word = new Float32Array(V * C);
    let first = 0;
    for (const length of lengths) {
      const part = {
        ...{ B: 1, T: length, C, V, P, tokens: tokens.slice(first, first + length), offsets: offsetsOf([length]) },
        d_sum: d_sum.slice(first * C, (first + length) * C),
      };
      runOp(device, 'embedding_backward', part, { d_word, d_position: new Float32Array(P * C) });
      first += length;
    }
    expect(d_word).toEqual(whole.d_word);
  });
});
