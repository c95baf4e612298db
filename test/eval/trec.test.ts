import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlesError } from '../../lib/errors';
import { rank } from '../../lib/eval/ranking';
import { readQrels, readRun, writeQrels, writeRun } from '../../lib/eval/trec';
import { rejected } from './thrown';

const folder = mkdtempSync(join(tmpdir(), 'fles-trec-'));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const HEADER = 'query-id\tcorpus-id\tscore\n';

describe('readQrels', () => {
  test('a TREC file has four columns between any white space', async () => {
    const qrels = await readQrels(file('a.qrels', 'q1 0 d1 2\nq1\t0\td2  -1\n\nq2 Q0 d1 0\n'));
    expect([...qrels.get('q1')!]).toEqual([
      ['d1', 2],
      ['d2', -1],
    ]);
    expect([...qrels.get('q2')!]).toEqual([['d1', 0]]);
  });

  test('a BEIR file is told by its header, ends its lines with CRLF or LF, and its ids may hold spaces', async () => {
    const qrels = await readQrels(file('a.tsv', `${HEADER}q 1\td 1\t2\r\nq 1\td2\t1`.replace('score\n', 'score\r\n')));
    expect([...qrels.get('q 1')!]).toEqual([
      ['d 1', 2],
      ['d2', 1],
    ]);
  });

  test('a headerless line of three columns is refused, naming file, line and the header that is missing', async () => {
    const path = file('three.tsv', 'q1 0 d1 1\nq1\td2\t1\n');
    const error = await rejected(readQrels(path));
    expect(error.code).toBe('ERR_QRELS_LINE');
    expect(error.message).toBe(
      `${path}:2 has 3 columns, expected 4 (query, 0, document, relevance); three columns need the header line of BEIR, "query-id<tab>corpus-id<tab>score"`,
    );
  });

  test.each([
    ['too many columns', 'q 0 d 1 x\n', 'ERR_QRELS_LINE', ':1'],
    ['a fraction', 'q 0 d 1\nq 0 e 0.5\n', 'ERR_QRELS_LINE', ':2'],
    ['a word', 'q 0 d one\n', 'ERR_QRELS_LINE', ':1'],
    ['an integer beyond 32 bits', 'q 0 d 4294967296\n', 'ERR_QRELS_LINE', ':1'],
    ['four columns under the header of BEIR', `${HEADER}q\t0\td\t1\n`, 'ERR_QRELS_LINE', ':2'],
    ['an empty id', `${HEADER}q\t\t1\n`, 'ERR_QRELS_LINE', ':2'],
    ['a pair judged twice', 'q 0 d 1\nq 0 d 1\n', 'ERR_QRELS_DUPLICATE', ':2'],
    ['an empty file', '', 'ERR_FILE_EMPTY', ''],
    ['a header alone', HEADER, 'ERR_FILE_EMPTY', ''],
  ])('%s is refused', async (_, content, code, line) => {
    const path = file('bad.qrels', content);
    const error = await rejected(readQrels(path));
    expect(error.code).toBe(code);
    expect(error.message).toContain(path + line);
  });

  test('invalid UTF-8 is refused', async () => {
    const path = file('latin1.qrels', Buffer.from('q 0 d\xe9 1\n', 'latin1'));
    expect((await rejected(readQrels(path))).code).toBe('ERR_TEXT_ENCODING');
  });

  test('what writeQrels writes reads back the same', async () => {
    const qrels = new Map([
      ['q1', new Map([['d😀', 3]])],
      ['q2', new Map([['d1', -2]])],
    ]);
    const path = join(folder, 'written.qrels');
    await writeQrels(path, qrels);
    expect(readFileSync(path, 'utf8')).toBe('q1 0 d😀 3\nq2 0 d1 -2\n');
    expect(await readQrels(path)).toEqual(qrels);
  });
});

describe('runs', () => {
  test('a run has six columns; rank and order of lines are not used', async () => {
    const run = await readRun(file('a.run', 'q Q0 d1 9 1e-1 tag\nq Q0 d2 1 -.5 tag\n'));
    expect(run.get('q')).toEqual([
      { document: 'd1', score: 0.1 },
      { document: 'd2', score: -0.5 },
    ]);
  });

  test.each([
    ['five columns', 'q Q0 d 1 1\n', 'ERR_RUN_LINE'],
    ['not a number', 'q Q0 d 1 nan t\n', 'ERR_RUN_LINE'],
    ['infinity', 'q Q0 d 1 Infinity t\n', 'ERR_RUN_LINE'],
    ['a hexadecimal score', 'q Q0 d 1 0x10 t\n', 'ERR_RUN_LINE'],
    ['a score beyond float32', 'q Q0 d 1 1e39 t\n', 'ERR_RUN_LINE'],
    ['a document listed twice', 'q Q0 d 1 2 t\nq Q0 d 2 1 t\n', 'ERR_RUN_DUPLICATE'],
    ['an empty file', '\n', 'ERR_FILE_EMPTY'],
  ])('%s is refused', async (_, content, code) => {
    expect((await rejected(readRun(file('bad.run', content)))).code).toBe(code);
  });

  test('documents are written in the order of trec_eval, ranks from 1', async () => {
    const path = join(folder, 'ties.run');
    await writeRun(path, new Map([['q', ['a', 'c', 'b'].map((document) => ({ document, score: 0.1 }))]]), { tag: 't' });
    expect(readFileSync(path, 'utf8')).toBe('q Q0 c 1 0.1 t\nq Q0 b 2 0.1 t\nq Q0 a 3 0.1 t\n');
  });

  test('a run that is written and read keeps every float32 score and the ranking', async () => {
    const path = join(folder, 'round.run');
    const documents = fc.uniqueArray(
      fc.record({
        document: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }).filter((id) => !/\s/.test(id)),
        score: fc.float({ noNaN: true, noDefaultInfinity: true }),
      }),
      { selector: ({ document }) => document, minLength: 1 },
    );
    await fc.assert(
      fc.asyncProperty(documents, async (list) => {
        await writeRun(path, new Map([['q', list]]));
        expect(rank((await readRun(path)).get('q')!)).toEqual(
          rank(list).map(({ document, score }) => ({ document, score: score === 0 ? expect.closeTo(0) : score })),
        );
      }),
      { numRuns: 60 },
    );
  });

  test.each(['', 'a b', 'a\nb'])('the id %j cannot be written', async (document) => {
    const path = join(folder, 'never.run');
    const error = await rejected(writeRun(path, new Map([['q', [{ document, score: 1 }]]])));
    expect(error.code).toBe('ERR_RUN_ID');
    expect(error.message).toContain(`${JSON.stringify(document)} cannot be a document id in a TREC file`);
    expect(() => readFileSync(path)).toThrow();
  });

  test('a score that is not finite cannot be written', async () => {
    const error = await rejected(writeRun(join(folder, 'nan.run'), new Map([['q', [{ document: 'd', score: NaN }]]])));
    expect(error.code).toBe('ERR_RUN_SCORE');
  });
});

test('lines of any kind give judgements and runs or a FlesError', async () => {
  const cell = fc.oneof(fc.string(), fc.constantFrom('q', '0', 'd', '1', '-1', '1e5', 'NaN', '\t', ' ', '\r'));
  const content = fc.array(fc.array(cell, { maxLength: 7 }).map((cells) => cells.join(' '))).map((l) => l.join('\n'));
  await fc.assert(
    fc.asyncProperty(content, fc.boolean(), async (text, header) => {
      const bytes = () => [Buffer.from((header ? HEADER : '') + text)];
      for (const reading of [readQrels(bytes()), readRun(bytes())]) {
        await (reading as Promise<unknown>).catch((error: unknown) => expect(error).toBeInstanceOf(FlesError));
      }
    }),
    { numRuns: 300 },
  );
});
