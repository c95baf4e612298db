/** The random numbers of dropout, as cpp/ops/random.h defines them, in exact integer arithmetic. */

/** High and low half of the product of two 32-bit numbers. */
function multiply(a: number, b: number): [number, number] {
  const [high, low] = [Math.floor(a / 0x10000), a % 0x10000];
  return [Math.floor((high * b + Math.floor((low * b) / 0x10000)) / 0x10000), Math.imul(a, b) >>> 0];
}

/** Philox4x32-10 (Salmon et al. 2011): four 32-bit numbers of a counter of four and a key of two. */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter as [number, number, number, number];
  let [k0, k1] = key as [number, number];
  for (let round = 0; round < 10; round++) {
    const [highA, lowA] = multiply(0xd2511f53, c0);
    const [highB, lowB] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(highB ^ c1 ^ k0) >>> 0, lowB, (highA ^ c3 ^ k1) >>> 0, lowA];
    [k0, k1] = [(k0 + 0x9e3779b9) >>> 0, (k1 + 0xbb67ae85) >>> 0];
  }
  return [c0, c1, c2, c3];
}

/** The draw of an element of a text at one site and step, 0..65535. */
export function dropoutDraw(seed: number, textId: number, index: number): number {
  const block = Math.floor(index / 8);
  const words = philox([block >>> 0, Math.floor(block / 2 ** 32), 0, 0], [seed >>> 0, textId >>> 0]);
  return (words[Math.floor((index % 8) / 2)]! >>> (16 * (index % 2))) & 0xffff;
}

/** What dropout with probability `p` multiplies an element by: 0, or the scale of a kept value in float32. */
export function dropoutFactor(p: number, seed: number, textId: number, index: number): number {
  if (p === 0) return 1;
  const cut = Math.round(Math.fround(p) * 65536);
  return dropoutDraw(seed, textId, index) >= cut ? Math.fround(65536 / (65536 - cut)) : 0;
}

/** Index of column `c` of a hidden value of `C` columns at a position of its text. */
export const hiddenIndex = (position: number, C: number, c: number): number => position * C + c;

/** Index of the attention of token `i` to token `j` in head `h` of a text of `S` tokens. */
export const attentionIndex = (h: number, i: number, j: number, S: number): number =>
  (h * S + i) * Math.ceil(S / 8) * 8 + j;
