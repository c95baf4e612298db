import { describe, expect, test } from 'vitest';
import { uniform } from '../../../lib/train/data/hash';
import { HashSet } from '../../../lib/train/data/hash-set';
import { IdTable } from '../../../lib/train/data/id-table';
import { Permutation } from '../../../lib/train/data/permutation';

describe('id table', () => {
  const shapes: [string, (i: number) => string][] = [
    ['that are their own numbers', (i) => String(i)],
    ['that are other integers', (i) => String(7 * i + 3)],
    ['of letters', (i) => `MED-${i}`],
    ['that are numbers for a while', (i) => (i < 500 ? String(i) : `x${i}`)],
    ['with leading zeros', (i) => String(i).padStart(4, '0')],
    ['of many digits', (i) => String(10 ** 12 + i)],
  ];
  test.each(shapes)('ids %s have the numbers in which they came', (_, idOf) => {
    const table = new IdTable();
    const ids = Array.from({ length: 2000 }, (_, i) => idOf(i));
    expect(ids.every((id) => table.add(id))).toBe(true);
    expect(ids.map((id) => table.find(id))).toEqual([...ids.keys()]);
    expect(ids.some((id) => table.add(id))).toBe(false);
    expect(table.size).toBe(2000);
    expect(['-1', '2.0', 'y', '', '99999', '00', '9999999999999'].map((id) => table.find(id))).toEqual(
      Array(7).fill(-1),
    );
  });

  test('an integer is found as its digits are', () => {
    for (const first of ['0', '5']) {
      const table = new IdTable();
      for (const id of [first, '1', '77']) table.add(id);
      for (const integer of [0, 1, 5, 77, 78]) expect(table.findInteger(integer)).toBe(table.find(String(integer)));
    }
  });
});

test('a hash set has what was added and little else', () => {
  const set = new HashSet();
  const members = Array.from({ length: 20_000 }, (_, i) => Math.floor(uniform([1, i]) * 2 ** 32));
  for (const hash of [0, ...members, ...members]) set.add(hash);
  expect([0, ...members].every((hash) => set.has(hash))).toBe(true);
  expect(set.size).toBe(new Set([0, ...members]).size);
  // 20,000 others meet one of 20,000 members by chance 0.09 times.
  const strangers = Array.from({ length: 20_000 }, (_, i) => Math.floor(uniform([2, i]) * 2 ** 32));
  expect(strangers.filter((hash) => set.has(hash)).length).toBeLessThanOrEqual(2);
});

test('a hash set without members has none, zero included', () => {
  const set = new HashSet();
  expect([set.has(0), set.has(1), set.size]).toEqual([false, false, 0]);
});

describe('permutation', () => {
  test('every number has one image, for all small sizes', () => {
    for (let size = 1; size <= 300; size++) {
      const permutation = new Permutation(size, [size, 1]);
      const images = Array.from({ length: size }, (_, i) => permutation.at(i));
      expect(images.sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
    }
  });

  test('sizes of hundreds of millions have images in range that differ', () => {
    for (const size of [397_768_673, 2 ** 32]) {
      const permutation = new Permutation(size, [3]);
      const images = new Set(Array.from({ length: 10_000 }, (_, i) => permutation.at(size - 1 - i)));
      expect(images.size).toBe(10_000);
      expect([...images].every((image) => image >= 0 && image < size)).toBe(true);
    }
  });

  test('each number comes equally often to each place', () => {
    // Chi-square of a table of 10 x 10 from 20,000 seeds; 81 degrees of freedom, below 144 with a chance of 1 - 2e-5.
    const size = 10;
    const counts = new Float64Array(size * size);
    for (let seed = 0; seed < 20_000; seed++) {
      const permutation = new Permutation(size, [seed]);
      for (let i = 0; i < size; i++) counts[i * size + permutation.at(i)]!++;
    }
    const expected = 20_000 / size;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(144);
  });

  test('neighbours do not stay neighbours', () => {
    const size = 100_000;
    const permutation = new Permutation(size, [9]);
    const images = Array.from({ length: size }, (_, i) => permutation.at(i));
    const steps = images.slice(1).map((image, i) => Math.abs(image - images[i]!));
    // Of a random order the mean distance is a third of the size, and two neighbours in 100,000 stay so.
    const mean = steps.reduce((sum, step) => sum + step, 0) / steps.length;
    expect(Math.abs(mean / size - 1 / 3)).toBeLessThan(0.01);
    expect(steps.filter((step) => step === 1).length).toBeLessThan(15);
  });

  test('other words give another order', () => {
    const orders = [[1], [2], [1, 0], [1, 1]].map((words) => {
      const permutation = new Permutation(1000, words);
      return Array.from({ length: 1000 }, (_, i) => permutation.at(i)).join();
    });
    expect(new Set(orders).size).toBe(4);
  });
});

test('uniform numbers fill [0, 1) evenly', () => {
  // Chi-square over 64 cells; 63 degrees of freedom, below 116 with a chance of 1 - 6e-5.
  const cells = new Float64Array(64);
  for (let i = 0; i < 64_000; i++) cells[Math.floor(uniform([5, i, 0]) * 64)]!++;
  expect(cells.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(116);
});
