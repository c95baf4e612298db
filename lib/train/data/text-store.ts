import { FlesError } from '../../errors';
import { documentText } from '../../eval/beir';
import { idField, parseJsonLine, stringField } from '../../text/lines';
import { combine, hashText } from './hash';
import { hashId, hashInteger, IdTable } from './id-table';
import { LineFile, type ScanOptions } from './line-file';
import type { DocumentPool, TrainingText } from './pair-source';

export interface TextStoreOptions extends ScanOptions {
  /**
   * What the keys of its texts are made of: their ids, or the texts where those of another file are to be compared. `none`: of
   * the texts, which need no ids.
   */
  keys?: 'id' | 'text' | 'none';
}

interface StoredText {
  id: string;
  text: string;
}

/**
 * Texts by id or by number, in the order of their file, which stays on the disk: `.tsv` has id, tab, text (MS MARCO's
 * collection.tsv and queries.tsv), anything else is JSON lines of `_id` or `id`, an optional `title` and `text` (BEIR).
 *
 * A store of 8.8 million passages takes 16 MiB, and 16 to 32 bytes an id more unless ids are line numbers from 0.
 */
export class TextStore implements DocumentPool {
  readonly path: string;
  readonly #file: LineFile;
  readonly #ids: IdTable;
  readonly #parse: (line: string, where: string) => StoredText;
  readonly #keys: NonNullable<TextStoreOptions['keys']>;
  readonly #salt: number;

  /** Numbers of the texts without any word. */
  readonly #blank: ReadonlySet<number>;

  private constructor(file: LineFile, ids: IdTable, blank: ReadonlySet<number>, options: TextStoreOptions) {
    this.#blank = blank;
    this.path = file.path;
    this.#file = file;
    this.#ids = ids;
    this.#parse = parserOf(file.path, options);
    this.#keys = options.keys ?? 'id';
    // Of the content, so that files that were moved have the same keys.
    this.#salt = hashText(file.fingerprint);
  }

  /**
   * Opens a file and checks every line of it.
   *
   * Throws `ERR_TSV_LINE`, `ERR_JSON_LINE` or `ERR_RECORD_FIELD` for a line of another form, `ERR_ID_DUPLICATE`, and what
   * `LineFile.open` throws.
   */
  static async open(path: string, options: TextStoreOptions = {}): Promise<TextStore> {
    const parse = parserOf(path, options);
    const ids = new IdTable();
    const blank = new Set<number>();
    let count = 0;
    const file = await LineFile.open(
      path,
      'a text with its id on each line',
      (bytes, begin, end, number) => {
        const where = `${path}:${number}`;
        const { id, text } = parse(bytes.toString('utf8', begin, end), where);
        if (text.trim() === '') blank.add(count);
        count++;
        if (options.keys !== 'none' && !ids.add(id)) {
          throw new FlesError(
            'ERR_ID_DUPLICATE',
            `${where} has the id ${JSON.stringify(id)} a second time; ids are unique`,
          );
        }
      },
      options,
    );
    return new TextStore(file, ids, blank, options);
  }

  get size(): number {
    return this.#file.count;
  }

  get fingerprint(): string {
    return this.#file.fingerprint;
  }

  /** The number of an id, -1 when there is none. */
  find(id: string): number {
    return this.#ids.find(id);
  }

  /** Whether the text of a number is empty or white space alone. */
  isBlank(number: number): boolean {
    return this.#blank.has(number);
  }

  /** Whether an integer, 0..999999999, is an id. */
  hasInteger(integer: number): boolean {
    return this.#ids.findInteger(integer) >= 0;
  }

  /** The key of the text with an id, where keys are made of ids. */
  keyOf(id: string): number {
    return combine(this.#salt, hashId(id));
  }

  /** `keyOf` of an integer's decimal digits, 0..999999999. */
  keyOfInteger(integer: number): number {
    return combine(this.#salt, hashInteger(integer));
  }

  async documents(numbers: readonly number[]): Promise<TrainingText[]> {
    const lines = await this.#file.read(numbers);
    return lines.map((line) => {
      const { id, text } = this.#parse(line, this.path);
      return { id, text, key: this.#keys === 'id' ? this.keyOf(id) : hashText(text) };
    });
  }

  /** Calls `visit` with every text, in order. */
  visit(visit: (text: StoredText) => void, options: ScanOptions = {}): Promise<void> {
    return this.#file.visit(
      (bytes, begin, end) => visit(this.#parse(bytes.toString('utf8', begin, end), this.path)),
      options,
    );
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function parserOf(path: string, { keys }: TextStoreOptions): (line: string, where: string) => StoredText {
  if (/\.tsv$/i.test(path)) return parseColumns;
  return (line, where) => parseRecord(line, where, keys !== 'none');
}

function parseColumns(line: string, where: string): StoredText {
  const tab = line.indexOf('\t');
  if (tab <= 0 || line.slice(0, tab).trim() === '') {
    const seen = tab < 0 ? 'has no tab' : 'has an empty id';
    throw new FlesError('ERR_TSV_LINE', `${where} ${seen}, expected an id, a tab and a text`);
  }
  return { id: line.slice(0, tab), text: line.slice(tab + 1) };
}

function parseRecord(text: string, where: string, needsId: boolean): StoredText {
  const line = parseJsonLine({ text, number: 0, where });
  const { value } = line;
  const id = needsId ? idField(line, '_id' in value || !('id' in value) ? '_id' : 'id') : '';
  const title = (value.title ?? null) === null ? '' : stringField(line, 'title');
  return { id, text: documentText({ title, text: stringField(line, 'text') }) };
}
