import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readTexts } from '../../lib/cli/text-input';
import { FlesError } from '../../lib/errors';
import { MAX_LINE_BYTES } from '../../lib/text/lines';
import { collect, temporaryFile, temporaryFolder } from './temporary';

async function read(name: string, content: string | Uint8Array) {
  return collect(readTexts(await temporaryFile(name, content)));
}

async function readStdin(...chunks: (string | Uint8Array)[]) {
  return collect(readTexts('-', { stdin: Readable.from(chunks.map((chunk) => Buffer.from(chunk))) }));
}

describe('JSON lines', () => {
  test('give _id or id, and title and text joined by a space', async () => {
    const content =
      '{"_id":"a","title":"On bees","text":"They dance."}\n{"id":"b","text":"x"}\n{"_id":"c","title":"","text":"y"}';
    expect(await read('t.jsonl', content)).toEqual([
      { id: 'a', text: 'On bees They dance.' },
      { id: 'b', text: 'x' },
      { id: 'c', text: 'y' },
    ]);
  });

  test('may have blank lines, CRLF, a byte order mark and other fields', async () => {
    const content = '\uFEFF{"_id":"a","text":"x","url":"u"}\r\n\r\n{"_id":"b","text":"y"}\r\n';
    expect(await read('t.jsonl', content)).toEqual([
      { id: 'a', text: 'x' },
      { id: 'b', text: 'y' },
    ]);
  });

  test('may have an integer as id and null as title', async () => {
    const content = '{"_id":31,"title":null,"text":"x"}\n{"id":-4,"text":"y"}\n';
    expect(await read('t.jsonl', content)).toEqual([
      { id: '31', text: 'x' },
      { id: '-4', text: 'y' },
    ]);
  });

  test('keep a text that is empty or only spaces', async () => {
    const texts = await read('t.jsonl', '{"_id":"a","text":""}\n{"_id":"b","text":"   "}\n');
    expect(texts.map(({ id, text }) => [id, text.trim()])).toEqual([
      ['a', ''],
      ['b', ''],
    ]);
  });

  test.each([
    ['a second line with the same id', '{"_id":"a","text":"x"}\n{"_id":"a","text":"y"}\n', 'ERR_ID_DUPLICATE', ':2'],
    ['no text', '{"_id":"a"}\n', 'ERR_RECORD_FIELD', ':1'],
    ['a title and no text', '{"_id":"a","title":"x"}\n', 'ERR_RECORD_FIELD', ':1'],
    ['no id', '{"text":"x"}\n', 'ERR_RECORD_FIELD', ':1'],
    ['a fraction as id', '{"_id":1.5,"text":"x"}\n', 'ERR_RECORD_FIELD', ':1'],
    ['an integer as id whose digits are lost', '{"_id":9007199254740993,"text":"x"}\n', 'ERR_RECORD_FIELD', ':1'],
    ['the same id as number and string', '{"_id":1,"text":"x"}\n{"_id":"1","text":"y"}\n', 'ERR_ID_DUPLICATE', ':2'],
    ['a line that is not JSON', '{"_id":"a","text":"x"}\n{"_id":', 'ERR_JSON_LINE', ':2'],
    ['an array', '[1]\n', 'ERR_JSON_LINE', ':1'],
    ['half of a surrogate pair', '{"_id":"a","text":"\\ud83d!"}\n', 'ERR_TEXT_SURROGATE', ':1'],
  ])('with %s are refused, naming the line', async (_, content, code, where) => {
    await expect(read('t.jsonl', content)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(`t.jsonl${where}`),
    });
  });
});

describe('tab-separated lines', () => {
  test('give the id before the first tab and the text behind it', async () => {
    expect(await read('t.tsv', '7\twhat is\ta tab\n8\t\n\n')).toEqual([
      { id: '7', text: 'what is\ta tab' },
      { id: '8', text: '' },
    ]);
  });

  test.each([
    ['without a tab', '1\tx\n2 y\n', 'ERR_TSV_LINE', ':2'],
    ['with an empty id', '\tx\n', 'ERR_TSV_LINE', ':1'],
    ['with an id seen before', '1\tx\n1\ty\n', 'ERR_ID_DUPLICATE', ':2'],
  ])('%s are refused, naming the line', async (_, content, code, where) => {
    await expect(read('t.tsv', content)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(`t.tsv${where}`),
    });
  });
});

describe('plain lines', () => {
  test('are numbered from 1, blank ones included', async () => {
    expect(await read('t.txt', 'first\n\nthird')).toEqual([
      { id: '1', text: 'first' },
      { id: '2', text: '' },
      { id: '3', text: 'third' },
    ]);
  });

  test('that begin with { are JSON lines whatever the name', async () => {
    expect(await read('corpus', ' \n{"_id":"a","text":"x"}\n')).toEqual([{ id: 'a', text: 'x' }]);
  });
});

describe('what would be read as prose', () => {
  const array = '[\n  {"_id": "a",\n "text": "x"}\n]\n';

  test.each([
    ['a JSON array', 't.json', array, 't.json is a JSON array'],
    ['a JSON array of strings', 't.json', '["a", "b"]\n', 't.json is a JSON array'],
    ['a JSON array under another name', 't.txt', `\uFEFF ${array}`, 't.txt is a JSON array'],
    ['other JSON', 'T.JSON', '"a"\n', 'T.JSON is named .json'],
    ['CSV', 't.csv', 'id,text\na,x\n', 't.csv is named .csv'],
  ])('%s is refused, naming what to write', async (_, name, content, message) => {
    await expect(read(name, content)).rejects.toMatchObject({
      code: 'ERR_TEXT_FORMAT',
      message: expect.stringMatching(new RegExp(`${message}, expected JSON lines .* or plain lines; convert it$`)),
    });
  });

  test('an array on standard input is refused, in whatever pieces it comes', async () => {
    for (const chunks of [[array], [...array]]) {
      await expect(readStdin(...chunks)).rejects.toMatchObject({ code: 'ERR_TEXT_FORMAT' });
    }
  });

  test('an object over several lines is no line of JSON', async () => {
    await expect(read('t.json', '{\n  "_id": "a",\n "text": "x"\n}\n')).rejects.toMatchObject({
      code: 'ERR_JSON_LINE',
    });
  });

  test('JSON lines named .json, and plain lines that begin with a bracket, are read', async () => {
    expect(await read('t.json', '{"_id":"a","text":"x"}\n')).toEqual([{ id: 'a', text: 'x' }]);
    expect(await read('t.txt', '[1] On bees\n')).toEqual([{ id: '1', text: '[1] On bees' }]);
    expect(await readStdin('[', '')).toEqual([{ id: '1', text: '[' }]);
  });
});

test.each(['t.jsonl', 't.tsv', 't.jsonl.gz', 't.txt'])('a packed file named %s is refused as such', async (name) => {
  const content = gzipSync('{"_id":"a","text":"x"}\n');
  await expect(read(name, content)).rejects.toMatchObject({
    code: 'ERR_FILE_COMPRESSED',
    message: expect.stringContaining(`${name} is gzip, expected plain text; unpack it first`),
  });
});

describe('standard input', () => {
  test('is JSON lines when its first visible character is {, also when that comes late', async () => {
    expect(await readStdin('\n', '  ', '{"id":"a","te', 'xt":"x"}\n')).toEqual([{ id: 'a', text: 'x' }]);
  });

  test('is plain lines otherwise, with nothing lost', async () => {
    expect(await readStdin('  o', 'ne\n', 'two\n')).toEqual([
      { id: '1', text: '  one' },
      { id: '2', text: 'two' },
    ]);
  });

  test('that stays silent ends when the signal aborts', async () => {
    const controller = new AbortController();
    const silent = new Readable({ read() {} });
    const reading = collect(readTexts('-', { stdin: silent, signal: controller.signal }));
    controller.abort();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test.each(['t.jsonl', 't.tsv', 't.txt'])('an empty file %s is refused', async (name) => {
  await expect(read(name, '')).rejects.toMatchObject({
    code: 'ERR_FILE_EMPTY',
    message: expect.stringContaining(name),
  });
});

test.each(['t.jsonl', 't.tsv', 't.txt'])('invalid UTF-8 in %s is refused, naming the line', async (name) => {
  const first = name === 't.jsonl' ? '{"_id":"a","text":"x"}\n' : 'a\tx\n';
  const content = Buffer.concat([Buffer.from(first), Buffer.from([0x62, 0x09, 0xc3, 0x28, 0x0a])]);
  await expect(read(name, content)).rejects.toMatchObject({
    code: 'ERR_TEXT_ENCODING',
    message: expect.stringContaining(`${name}:2`),
  });
});

test('a line beyond 16 MiB is refused, naming the line', async () => {
  const content = `short\n${'x'.repeat(MAX_LINE_BYTES + 1)}\n`;
  await expect(read('t.txt', content)).rejects.toMatchObject({
    code: 'ERR_LINE_LENGTH',
    message: expect.stringContaining('t.txt:2'),
  });
});

test.each(['gone.jsonl', 'gone.tsv', 'gone.txt'])('a file %s that does not exist is named', async (name) => {
  const path = join(await temporaryFolder(), name);
  await expect(collect(readTexts(path))).rejects.toMatchObject({
    code: 'ERR_FILE_NOT_FOUND',
    message: expect.stringContaining(path),
  });
});

test('a folder is refused', async () => {
  const path = join(await temporaryFolder(), 'folder.txt');
  await mkdir(path);
  await expect(collect(readTexts(path))).rejects.toMatchObject({ code: 'ERR_FILE_KIND' });
});

test('arbitrary bytes give texts or a FlesError, never anything else', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '{"_id":"a","text":"x"}',
      '{',
      '}',
      '"',
      '\t',
      '\n',
      '\r\n',
      '\\ud800',
      '{"_id":1}',
      ' ',
      '\0',
      'é',
    ),
    fc.string({ unit: 'binary', maxLength: 8 }),
  );
  const bytes = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.from(pieces.join(''))),
    fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array)),
  );
  const folder = await temporaryFolder();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('-', 'f.jsonl', 'f.tsv', 'f.txt', 'f.json'), bytes, async (name, content) => {
      const path = join(folder, name);
      await writeFile(path, content);
      try {
        const texts = name === '-' ? await readStdin(content) : await collect(readTexts(path));
        for (const { id, text } of texts) {
          expect(id.length).toBeGreaterThan(0);
          expect(typeof text).toBe('string');
        }
      } catch (error) {
        expect(error).toBeInstanceOf(FlesError);
      }
    }),
    { numRuns: 150 },
  );
});
