import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlesError } from '../../lib/errors';
import { parseSafetensorsHeader, readSafetensorsHeader } from '../../lib/model/safetensors';
import { safetensors, withHeader } from '../support/safetensors-writer';
import { folder } from './tiny-model';

const directory = folder({});
let files = 0;

/** Reads a file of these bytes. */
function read(bytes: Uint8Array) {
  const path = join(directory, `${files++}.safetensors`);
  writeFileSync(path, bytes);
  return readSafetensorsHeader(path);
}

const header = (tensors: object, bytes: number) => withHeader(JSON.stringify(tensors), Buffer.alloc(bytes));
const tensor = (dtype: unknown, shape: unknown, ...offsets: unknown[]) => ({ dtype, shape, data_offsets: offsets });

describe('a valid file', () => {
  test('gives name, type, shape and absolute place of every tensor', async () => {
    const bytes = safetensors(
      { b: { dtype: 'F32', shape: [2, 3], value: (i) => i }, a: { dtype: 'I64', shape: [1], value: () => 7 } },
      { format: 'pt' },
    );
    const entries = await read(bytes);
    expect([...entries.keys()]).toEqual(['b', 'a']);
    const b = entries.get('b')!;
    expect(b).toEqual({ name: 'b', dtype: 'F32', shape: [2, 3], offset: bytes.length - 32, bytes: 24 });
    expect(bytes.readFloatLE(b.offset + 4 * 5)).toBe(5);
    expect(bytes.readBigInt64LE(entries.get('a')!.offset)).toBe(7n);
  });

  test('may hold scalars, empty tensors and no tensors at all', async () => {
    const entries = await read(header({ s: tensor('F16', [], 0, 2), e: tensor('F32', [0, 4], 2, 2) }, 2));
    expect(entries.get('s')).toMatchObject({ shape: [], bytes: 2 });
    expect(entries.get('e')).toMatchObject({ shape: [0, 4], bytes: 0 });
    expect((await read(withHeader('{}', Buffer.alloc(0)))).size).toBe(0);
  });

  test('may be padded with spaces behind its header and may list tensors in any order', async () => {
    const text = `${JSON.stringify({ z: tensor('U8', [2], 3, 5), a: tensor('U8', [3], 0, 3) })}   `;
    expect([...(await read(withHeader(text, Buffer.alloc(5)))).keys()]).toEqual(['a', 'z']);
  });

  test('may name a tensor __proto__', async () => {
    const text = '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
    expect([...(await read(withHeader(text, Buffer.alloc(1)))).keys()]).toEqual(['__proto__']);
  });
});

describe('a file that is cut off', () => {
  test.each([
    ['within the length', Buffer.alloc(5), /has 5 bytes, fewer than the 8/],
    ['within the header', withHeader('{}', Buffer.alloc(0), 100n), /says its header has 100 bytes but ends after 10/],
    [
      'within a tensor',
      header({ a: tensor('F32', [2], 0, 8), b: tensor('F32', [1], 8, 12) }, 10),
      /inside or before tensor "b"/,
    ],
    ['to nothing', Buffer.alloc(0), /has 0 bytes/],
  ])('%s is refused', async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'ERR_SAFETENSORS_TRUNCATED',
      message: expect.stringMatching(message),
    });
  });
});

describe('a header that lies', () => {
  const twice =
    '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
  test.each([
    [
      'about its own length beyond the bound',
      withHeader('{}', Buffer.alloc(0), 2n ** 63n),
      /expected at most 100000000/,
    ],
    ['and is no JSON', withHeader('{"a":', Buffer.alloc(4)), /not valid JSON/],
    ['and is not UTF-8', Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff]), /not valid JSON/],
    ['and is a list', withHeader('[]', Buffer.alloc(0)), /not a JSON object/],
    ['and begins with a space', withHeader(' {}', Buffer.alloc(0)), /not a JSON object/],
    ['with a number in its metadata', withHeader('{"__metadata__":{"a":1}}', Buffer.alloc(0)), /object of strings/],
    ['by naming a tensor twice', withHeader(twice, Buffer.alloc(1)), /key "a" twice/],
    [
      'by giving a tensor two shapes',
      withHeader('{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}', Buffer.alloc(1)),
      /key "shape" twice/,
    ],
    ['about the end of the data', header({ a: tensor('F32', [1], 0, 4) }, 9), /describes \d+ bytes, the file has/],
  ])('%s is refused', async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'ERR_SAFETENSORS_HEADER',
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ['a size that is not that of its shape', tensor('F32', [3], 0, 8), /has 8 bytes, expected 3 elements of F32/],
    ['an unknown type', tensor('F33', [2], 0, 8), /dtype "F33"/],
    ['a type from the prototype', tensor('toString', [2], 0, 8), /dtype "toString"/],
    ['a negative size', tensor('F32', [-2], 0, 8), /shape/],
    ['a fractional size', tensor('F32', [2.5], 0, 8), /shape/],
    ['a shape whose product overflows', tensor('F32', [2 ** 40, 2 ** 40], 0, 8), /expected/],
    ['a shape whose product wraps around to the right one', tensor('U8', [2 ** 32, 2 ** 32, 0.5], 0, 8), /shape/],
    ['offsets in reverse', tensor('F32', [2], 8, 0), /data_offsets/],
    ['three offsets', tensor('F32', [2], 0, 4, 8), /data_offsets/],
    ['offsets as text', tensor('F32', [2], '0', '8'), /data_offsets/],
    ['a gap before it', tensor('F32', [1], 4, 8), /begins at byte 4 of the data, expected 0/],
    ['no description', null, /described by null/],
  ])('by giving a tensor %s is refused with file and tensor', async (_, entry, message) => {
    const error = await read(header({ 'layer.weight': entry }, 8)).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'ERR_SAFETENSORS_TENSOR', message: expect.stringMatching(message) });
    expect((error as Error).message).toMatch(/\d+\.safetensors: tensor "layer.weight"/);
  });

  test('by letting two tensors overlap is refused', async () => {
    const bytes = header({ a: tensor('F32', [2], 0, 8), b: tensor('F32', [2], 4, 12) }, 12);
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'ERR_SAFETENSORS_TENSOR',
      message: expect.stringMatching(/"b" begins at byte 4 of the data, expected 8/),
    });
  });
});

test('a missing file and a folder are named', async () => {
  await expect(readSafetensorsHeader(join(directory, 'none'))).rejects.toMatchObject({ code: 'ERR_FILE_NOT_FOUND' });
  await expect(readSafetensorsHeader(directory)).rejects.toMatchObject({ code: 'ERR_FILE_KIND' });
});

describe('fuzzing', () => {
  const valid = safetensors(
    { one: { dtype: 'F32', shape: [2, 2] }, two: { dtype: 'F16', shape: [3] }, three: { dtype: 'I64', shape: [1, 2] } },
    { format: 'pt' },
  );

  /** Either a FlesError, or entries that lie inside the file. */
  function check(bytes: Uint8Array): boolean {
    if (bytes.length < 8) return true;
    const start = 8 + Number(Buffer.from(bytes).readBigUInt64LE());
    if (start > bytes.length) return true;
    try {
      const entries = parseSafetensorsHeader(bytes.subarray(8, start), start, bytes.length, 'fuzz.safetensors');
      return [...entries.values()].every(
        (entry) => entry.offset >= start && entry.offset + entry.bytes <= bytes.length,
      );
    } catch (error) {
      if (error instanceof FlesError) return true;
      throw error;
    }
  }

  test('a valid file with bytes changed gives a FlesError or tensors inside the file', () => {
    const change = fc.record({ at: fc.nat(valid.length - 1), to: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = Buffer.from(valid);
        for (const { at, to } of changes) bytes[at] = to;
        return check(bytes);
      }),
      { numRuns: 5000 },
    );
  });

  test('a header of any JSON gives a FlesError or tensors inside the file', () => {
    const number = fc.oneof(fc.nat(16), fc.integer(), fc.double(), fc.constantFrom(2 ** 53, 1e308, -1));
    const entry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom('F32', 'F16', 'U8', 'F4'), fc.string(), fc.jsonValue()),
        shape: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
        data_offsets: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const any = fc.oneof(fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue()), { maxKeys: 4 }), fc.jsonValue());
    fc.assert(
      fc.property(any, fc.uint8Array({ maxLength: 32 }), (value, data) =>
        check(withHeader(JSON.stringify(value), data)),
      ),
      { numRuns: 5000 },
    );
  });

  test('any bytes as a file give a FlesError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        const result = await read(bytes).catch((error: unknown) => error);
        expect(result instanceof FlesError || result instanceof Map).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
