import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlesError } from '../../lib/errors';
import { type LineOptions, type LineSource, readJsonLines, readLines, stringField } from '../../lib/text/lines';
import { rejected } from '../eval/thrown';

async function texts(source: LineSource, options?: LineOptions): Promise<string[]> {
  const found: string[] = [];
  for await (const line of readLines(source, options)) found.push(line.text);
  return found;
}

async function records(source: LineSource): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const line of readJsonLines(source, { name: 'corpus.jsonl' })) found.push(line.value);
  return found;
}

const stream = (...chunks: (string | Uint8Array)[]) =>
  Readable.from(chunks.map((chunk) => Buffer.from(chunk as string)));

describe('readLines', () => {
  test('LF and CRLF end a line, and the last line needs no end', async () => {
    expect(await texts(stream('a\r\nb\nc'))).toEqual(['a', 'b', 'c']);
    expect(await texts(stream('a\n'))).toEqual(['a']);
    expect(await texts(stream('a\r'))).toEqual(['a']);
  });

  test('empty lines are lines, an empty text has none', async () => {
    expect(await texts(stream('\n\n'))).toEqual(['', '']);
    expect(await texts(stream())).toEqual([]);
  });

  test('a byte order mark is dropped at the start only', async () => {
    expect(await texts(stream('\uFEFFa\n\uFEFFb'))).toEqual(['a', '\uFEFFb']);
  });

  test('lines are numbered from 1 and say where they stand', async () => {
    const places: string[] = [];
    for await (const { number, where } of readLines(stream('a\nb'), { name: 'x.tsv' }))
      places.push(`${number} ${where}`);
    expect(places).toEqual(['1 x.tsv:1', '2 x.tsv:2']);
  });

  test('a path is read like a stream', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'fles-')), 'a.txt');
    writeFileSync(path, 'one\ntwo\n');
    expect(await texts(path)).toEqual(['one', 'two']);
  });

  test('any cut of the bytes into chunks gives the same lines', async () => {
    const anyText = fc.array(fc.constantFrom('a', 'é', '漢', '😀', '\n', '\r\n', ' '), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(anyText, fc.integer({ min: 1, max: 7 }), async (parts, size) => {
        const bytes = Buffer.from(parts.join(''));
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        );
        const expected = parts.join('').split(/\r?\n/);
        if (expected.at(-1) === '') expected.pop();
        expect(await texts(stream(...chunks))).toEqual(expected);
      }),
    );
  });

  test('a line of the longest length is read, one byte more is refused by name and line', async () => {
    expect(await texts(stream('a\nbbbb\r\n'), { maxBytes: 4 })).toEqual(['a', 'bbbb']);
    const error = await rejected(texts(stream('a\nbb', 'bbb\n'), { maxBytes: 4, name: 'x' }));
    expect(error.code).toBe('ERR_LINE_LENGTH');
    expect(error.message).toBe('x:2 is longer than 4 bytes, the longest line read');
  });

  test('an endless line is refused before it is held', async () => {
    let produced = 0;
    const endless = async function* () {
      for (; produced < 1000; produced++) yield Buffer.alloc(100, 'a');
    };
    expect((await rejected(texts(endless(), { maxBytes: 1000 }))).code).toBe('ERR_LINE_LENGTH');
    expect(produced).toBeLessThan(12);
  });

  test.each([
    ['a stray continuation byte', [0x80]],
    ['a cut character', [0xe6, 0xbc]],
    ['an overlong form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
  ])('%s is refused as invalid UTF-8', async (_, bytes) => {
    const error = await rejected(texts(stream('good\n', Uint8Array.from(bytes)), { name: 'x' }));
    expect(error.code).toBe('ERR_TEXT_ENCODING');
    expect(error.message).toContain('x:2 is not valid UTF-8');
  });

  test('a path that is absent or a directory is refused by name', async () => {
    expect((await rejected(texts('/absent/file'))).code).toBe('ERR_FILE_NOT_FOUND');
    expect((await rejected(texts(tmpdir()))).code).toBe('ERR_FILE_KIND');
  });

  test('an aborted signal ends the reading with its reason', async () => {
    const reading = texts(stream('a\n'), { signal: AbortSignal.abort(new Error('enough')) });
    await expect(reading).rejects.toThrow('enough');
  });

  test('an aborted signal ends the reading of a stream that waits', async () => {
    async function* silent(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a\n');
      await new Promise(() => {});
    }
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(texts(silent(), { signal: controller.signal })).rejects.toThrow('enough');
  });
});

describe('readJsonLines', () => {
  test('one object a line, lines of white space skipped', async () => {
    expect(await records(stream('{"a": 1}\n\n  \n{"a": 2}'))).toEqual([{ a: 1 }, { a: 2 }]);
  });

  test.each(['{"a": 1', '[1]', '3', 'null', '"text"', '{} {}'])('%j is refused', async (line) => {
    const error = await rejected(records(stream(`{}\n${line}\n`)));
    expect(error.code).toBe('ERR_JSON_LINE');
    expect(error.message).toContain('corpus.jsonl:2 ');
  });

  test('an empty file is refused', async () => {
    expect((await rejected(records(stream()))).code).toBe('ERR_FILE_EMPTY');
    expect((await rejected(records(stream(' \n')))).code).toBe('ERR_FILE_EMPTY');
  });

  test('bytes of any kind give objects or a FlesError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), fc.string(), async (bytes, text) => {
        for (const source of [stream(bytes), stream(text), stream('{"_id": "', text, '"}\n', bytes)]) {
          await records(source).catch((error: unknown) => expect(error).toBeInstanceOf(FlesError));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('stringField', () => {
  const field = (value: unknown) => {
    const line = { text: '', number: 3, where: 'x:3', value: { text: value } as Record<string, unknown> };
    return (async () => stringField(line, 'text'))();
  };

  test('whole characters outside the basic plane pass', async () => {
    expect(await field('a😀')).toBe('a😀');
  });

  test.each(['\ud83d', 'a\ude00', '\ude00\ud83d'])('the lone surrogate in %j is refused', async (text) => {
    expect((await rejected(field(text))).code).toBe('ERR_TEXT_SURROGATE');
  });

  test.each([undefined, null, 7, {}])('%j is refused, naming field and line', async (value) => {
    const error = await rejected(field(value));
    expect(error.code).toBe('ERR_RECORD_FIELD');
    expect(error.message).toContain('x:3 field "text"');
  });
});
