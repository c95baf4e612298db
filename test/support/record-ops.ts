// Writes what the tests of the ops run and expect, for processors on which these tests cannot run: the native tests do it
// again there, on every level (test/native/recorded_ops_test.cpp, which reads this format). On when FLES_RECORD_OPS names
// the folder to write into, a file for each test file. The first run of each test is kept, unless it is so large that it
// tests how threads share their work.
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, expect } from 'vitest';

type Values = Float32Array | Int32Array | Uint8Array;
type Arguments = Record<string, number | string | Values | null>;

interface Output {
  name: string;
  array: Values;
  expected: Float64Array;
  allowed: Float64Array; // how far from it the value may be
}

interface Run {
  name: string; // of its test
  op: string;
  args: Arguments;
  outputs: Output[];
}

const folder = process.env.FLES_RECORD_OPS;
const mostValues = 2 ** 20;
const runs: Run[] = [];

const lengthOf = (value: Arguments[string]) => (ArrayBuffer.isView(value) ? value.length : 0);

/** Keeps a run of an op, whose output arrays are still as it will find them; call what is returned when it has run. */
export function recordRun(op: string, args: Arguments, outputs: Record<string, Values>): () => void {
  const name = expect.getState().currentTestName ?? '';
  const values = Object.values({ ...args, ...outputs }).reduce((sum: number, x) => sum + lengthOf(x), 0);
  if (!folder || values > mostValues || runs.some((run) => run.name === name)) return () => {};
  const found = structuredClone({ ...args, ...outputs }); // the test may go on to change what it passed
  return () => {
    const kept = Object.entries(outputs).map(([name, array]) => {
      // Until recordExpected says better: what came out here, to the bit for integers.
      const expected = Float64Array.from(array);
      const largest = expected.reduce((most, x) => Math.max(most, Number.isFinite(x) ? Math.abs(x) : 0), 0);
      const allowed = new Float64Array(array.length).fill(array instanceof Float32Array ? largest * 2 ** -18 : 0);
      return { name, array, expected, allowed };
    });
    runs.push({ name, op, args: found, outputs: kept });
  };
}

/** Puts the reference of an output, or of a part of it, in the place of what came out. */
export function recordExpected(actual: Float32Array, exact: ArrayLike<number>, allowed: number): void {
  for (const output of runs.flatMap(({ outputs }) => outputs)) {
    if (output.array.buffer !== actual.buffer) continue;
    const first = (actual.byteOffset - output.array.byteOffset) / actual.BYTES_PER_ELEMENT;
    output.expected.set(Array.from(exact), first);
    output.allowed.fill(allowed, first, first + actual.length);
  }
}

const int = (value: number) => Buffer.from(Int32Array.of(value).buffer);
const text = (value: string) => [int(Buffer.byteLength(value)), Buffer.from(value)];
const array = (value: Values | Float64Array) => [
  int(value.length),
  Buffer.from(value.buffer, value.byteOffset, value.byteLength),
];

function argument(value: Arguments[string]): Buffer[] {
  if (value === null) return [Buffer.from('0')];
  if (typeof value === 'number') return [Buffer.from('n'), Buffer.from(Float64Array.of(value).buffer)];
  if (typeof value === 'string') return [Buffer.from('s'), ...text(value)];
  return [Buffer.from('a'), int(value.BYTES_PER_ELEMENT), ...array(value)];
}

if (folder) {
  const { testPath } = expect.getState();
  afterAll(() => {
    if (runs.length === 0) return;
    const parts = runs.flatMap(({ name, op, args, outputs }) => [
      ...text(name),
      ...text(op),
      int(Object.keys(args).length),
      ...Object.entries(args).flatMap(([key, value]) => [...text(key), ...argument(value)]),
      int(outputs.length),
      ...outputs.flatMap((output) => [...text(output.name), ...array(output.expected), ...array(output.allowed)]),
    ]);
    writeFileSync(join(folder, `${basename(testPath!, '.test.ts')}.ops`), Buffer.concat(parts));
  });
}
