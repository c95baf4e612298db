import { expect, test } from 'vitest';
import { attentionIndex, dropoutDraw, dropoutFactor, philox } from './philox';

// kat_vectors of the authors' library Random123: philox4x32, 10 rounds.
test.each([
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
])('the reference gives the published answer for counter %j and key %j', (counter, key, expected) => {
  expect(philox(counter, key)).toEqual(expected);
});

test('draws are the halves of the words of a block, low half first, block after block', () => {
  const draws = Array.from({ length: 16 }, (_, i) => dropoutDraw(7, 3, i));
  const words = [0, 1].flatMap((block) => philox([block, 0, 0, 0], [7, 3]));
  expect(draws).toEqual(words.flatMap((word) => [word & 0xffff, word >>> 16]));
});

test('a factor is 0 or what keeps the mean, and 1 when nothing is dropped', () => {
  const factors = new Set(Array.from({ length: 200 }, (_, i) => dropoutFactor(0.25, 1, 2, i)));
  expect([...factors].sort()).toEqual([0, Math.fround(4 / 3)]);
  expect(dropoutFactor(0, 1, 2, 3)).toBe(1);
});

test('rows of attention start at a block', () => {
  expect([attentionIndex(0, 1, 0, 9), attentionIndex(1, 0, 8, 9), attentionIndex(0, 1, 0, 8)]).toEqual([16, 152, 8]);
});
