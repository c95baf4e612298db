import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { FlesError, fileError } from '../errors';
import { documentText, readTexts as readRecords } from '../eval/beir';
import { LargeMap } from '../large-map';
import { checkNewId, emptyFile, type LineOptions, type LineSource, MAX_LINE_BYTES, readLines } from '../text/lines';

/** A text with its id. */
export interface TextRecord {
  id: string;
  text: string;
}

export interface TextInputOptions {
  signal?: AbortSignal;
  /** What `-` stands for, `process.stdin` by default. */
  stdin?: Readable;
}

type TextFormat = 'jsonl' | 'tsv' | 'lines';

const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;
/** Tab, LF, CR, space and the three bytes of a byte order mark. */
const BLANK = [0x09, 0x0a, 0x0d, 0x20, 0xef, 0xbb, 0xbf];

/**
 * The texts of a file, or of standard input for `-`, one at a time and in bounded memory (ids aside, which are kept to
 * notice duplicates). A line may have 16 MiB.
 *
 * `.jsonl` and `.ndjson` hold objects with `_id` or `id`, an optional `title` and `text`; title and text are joined by a
 * space (`documentText`). `.tsv` holds id, tab, text. Anything else is JSON lines when its first byte other than white space is `{`, and
 * otherwise plain lines whose ids are the line numbers from 1. `.csv`, a `.json` that is not JSON lines and a JSON array of objects under
 * any name, whose lines would count as prose, are refused (`ERR_TEXT_FORMAT`).
 *
 * Throws `ERR_ID_DUPLICATE`, `ERR_RECORD_FIELD`, `ERR_TSV_LINE`, `ERR_FILE_EMPTY` and what `readLines` throws, naming file and line.
 */
export async function* readTexts(path: string, options: TextInputOptions = {}): AsyncGenerator<TextRecord> {
  const { source, name } = openInput(path, options);
  const { format, lines } = await detectFormat(path, source, name);
  const lineOptions = { name, signal: options.signal };
  if (format === 'lines') {
    let empty = true;
    for await (const line of readLines(lines, lineOptions)) {
      empty = false;
      yield { id: String(line.number), text: line.text };
    }
    if (empty) throw emptyFile(name, 'one text a line');
    return;
  }
  if (format === 'jsonl') {
    for await (const record of readRecords(lines, lineOptions)) yield { id: record.id, text: documentText(record) };
    return;
  }
  yield* tsvRecords(lines, lineOptions);
}

/** A path or `-` as a source of lines and the name that errors give it. */
export function openInput(path: string, options: TextInputOptions): { source: string | Readable; name: string } {
  if (path !== '-') return { source: path, name: path };
  const stdin = options.stdin ?? process.stdin;
  // Without this a wait for input would outlast Ctrl-C.
  return { source: options.signal ? addAbortSignal(options.signal, stdin) : stdin, name: 'stdin' };
}

async function* tsvRecords(source: LineSource, options: LineOptions): AsyncGenerator<TextRecord> {
  const seen = new LargeMap<true>();
  for await (const line of readLines(source, options)) {
    if (line.text.trim() === '') continue;
    const tab = line.text.indexOf('\t');
    if (tab < 0) throw new FlesError('ERR_TSV_LINE', `${line.where} has no tab, expected an id, a tab and a text`);
    const id = line.text.slice(0, tab);
    if (id.trim() === '') {
      throw new FlesError('ERR_TSV_LINE', `${line.where} has an empty id, expected an id, a tab and a text`);
    }
    checkNewId(seen, id, line);
    yield { id, text: line.text.slice(tab + 1) };
  }
  if (seen.size === 0) throw emptyFile(options.name ?? 'input', 'an id, a tab and a text on each line');
}

/** The format of an input, and the input with nothing missing although its beginning may have been read to find out. */
async function detectFormat(
  path: string,
  source: string | Readable,
  name: string,
): Promise<{ format: TextFormat; lines: LineSource }> {
  const extension = /\.(jsonl|ndjson|tsv|csv|json)$/i.exec(path)?.[1]?.toLowerCase();
  if (extension === 'csv') throw wrongFormat(name, 'is named .csv');
  if (extension && extension !== 'json') return { format: extension === 'tsv' ? 'tsv' : 'jsonl', lines: source };
  const stream = typeof source === 'string' ? createReadStream(source) : source;
  const chunks = stream[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  /** The first bytes other than white space: one, and one more behind a bracket. */
  const visible: number[] = [];
  let length = 0;
  try {
    while (visible.length < (visible[0] === OPEN_BRACKET ? 2 : 1) && length < MAX_LINE_BYTES) {
      const { value, done } = await chunks.next();
      if (done) break;
      const bytes = Buffer.from(value);
      head.push(bytes);
      length += bytes.length;
      visible.push(...bytes.filter((byte) => !BLANK.includes(byte)).subarray(0, 2));
    }
  } catch (error) {
    throw fileError(error, name);
  }
  const [first, second] = visible;
  const isArray = first === OPEN_BRACKET && (second === OPEN_BRACE || extension === 'json');
  if (isArray || (extension === 'json' && first !== undefined && first !== OPEN_BRACE)) {
    await chunks.return?.();
    throw wrongFormat(name, isArray ? 'is a JSON array' : 'is named .json');
  }
  return { format: first === OPEN_BRACE ? 'jsonl' : 'lines', lines: chain(head, chunks) };
}

function wrongFormat(name: string, seen: string): FlesError {
  return new FlesError(
    'ERR_TEXT_FORMAT',
    `${name} ${seen}, expected JSON lines (.jsonl, one {"_id": ..., "text": ...} a line), .tsv (id, tab, text) or plain lines; convert it`,
  );
}

async function* chain<T>(head: T[], rest: AsyncIterator<T>): AsyncGenerator<T> {
  yield* head;
  yield* { [Symbol.asyncIterator]: () => rest };
}
