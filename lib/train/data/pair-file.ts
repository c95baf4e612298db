import { checkCallable, checkKeys } from '../../check';
import { FlesError } from '../../errors';
import { parseJsonLine, stringField } from '../../text/lines';
import { combine, hashText } from './hash';
import { HashSet } from './hash-set';
import { LineFile, type ScanOptions } from './line-file';
import { NumberList } from './number-list';
import type { DocumentPool, PairSource, TrainingExample, TrainingText } from './pair-source';
import { listField, scoresField } from './record-fields';
import type { TextStore } from './text-store';

/** The texts of a line. */
interface Pair {
  query: string;
  positive: string;
  negatives: string[];
  scores?: Float32Array;
}

type ParsePair = (text: string, where: string) => Pair;

export interface PairFileOptions extends ScanOptions {
  /** What random negatives are drawn from instead of the positives: texts whose keys are made of themselves. */
  corpus?: TextStore;
}

/**
 * Examples that hold their texts, one a line. Takes 16 MiB, and 5 to 11 bytes a different pair of query and positive.
 *
 * - JSON lines: `{"query": ..., "positive": ..., "negatives": [...]}`, and if there are some, a teacher's `scores` of the positive
 *   and of each negative (null for none). Other fields are ignored.
 * - Columns between tabs: query, positive and any number of negatives, the same number on every line (MS MARCO's
 *   triples.train.small.tsv has one).
 */
export class PairFile implements PairSource {
  readonly name: string;
  readonly pool: DocumentPool;
  readonly notes: readonly string[] = [];
  readonly scored: boolean;
  readonly #file: LineFile;
  readonly #parse: ParsePair;
  readonly #positives: HashSet;
  readonly #corpus: TextStore | undefined;

  private constructor(
    file: LineFile,
    parse: ParsePair,
    positives: HashSet,
    { scored, corpus }: { scored: boolean; corpus: TextStore | undefined },
  ) {
    this.name = file.path;
    this.scored = scored;
    this.#file = file;
    this.#parse = parse;
    this.#positives = positives;
    this.#corpus = corpus;
    this.pool = corpus ?? {
      size: file.count,
      documents: async (numbers) => (await this.#read(numbers)).map(({ positive }) => textOf(positive)),
    };
  }

  /**
   * Opens a file and checks every line of it.
   *
   * Throws `ERR_JSON_LINE`, `ERR_RECORD_FIELD` or `ERR_TSV_LINE` for a line of another form or an empty query or positive, and
   * what `LineFile.open` throws.
   */
  static async open(path: string, format: 'jsonl' | 'tsv', options: PairFileOptions = {}): Promise<PairFile> {
    const parse = format === 'jsonl' ? parseObject : columnParser();
    const expected = format === 'jsonl' ? 'an object with query and positive on each line' : 'columns between tabs';
    const positives = new HashSet();
    let scored = false;
    const file = await LineFile.open(
      path,
      expected,
      (bytes, begin, end, number) => {
        const { query, positive, scores } = parse(bytes.toString('utf8', begin, end), `${path}:${number}`);
        scored ||= scores !== undefined;
        positives.add(combine(hashText(query), hashText(positive)));
      },
      options,
    );
    return new PairFile(file, parse, positives, { scored, corpus: options.corpus });
  }

  get size(): number {
    return this.#file.count;
  }

  get fingerprint(): string {
    return this.#file.fingerprint + (this.#corpus?.fingerprint ?? '');
  }

  async examples(numbers: readonly number[]): Promise<TrainingExample[]> {
    return (await this.#read(numbers)).map(({ query, positive, negatives, scores }) => {
      const texts = { query: textOf(query), positive: textOf(positive), negatives: negatives.map(textOf) };
      return scores ? { ...texts, scores } : texts;
    });
  }

  isPositive(query: number, document: number): boolean {
    return this.#positives.has(combine(query, document));
  }

  async findByQuery(matches: (query: string) => boolean, options: ScanOptions = {}): Promise<Float64Array> {
    checkCallable('matches', matches);
    checkKeys(options, ['signal', 'onProgress']);
    const found = new NumberList();
    let count = 0;
    await this.#file.visit((bytes, begin, end) => {
      if (matches(this.#parse(bytes.toString('utf8', begin, end), this.name).query)) found.push(count);
      count++;
    }, options);
    return found.toArray();
  }

  async close(): Promise<void> {
    await Promise.all([this.#file.close(), this.#corpus?.close()]);
  }

  async #read(numbers: readonly number[]): Promise<Pair[]> {
    return (await this.#file.read(numbers)).map((line) => this.#parse(line, this.name));
  }
}

function textOf(text: string): TrainingText {
  return { text, key: hashText(text) };
}

/** Names that other tools give the fields; ignoring them would train without what they hold. */
const OTHER_NAMES: Record<string, string> = {
  anchor: 'query',
  question: 'query',
  pos: 'positive',
  positives: 'positive',
  passage: 'positive',
  negative: 'negatives',
  neg: 'negatives',
  hard_negatives: 'negatives',
};

function parseObject(text: string, where: string): Pair {
  const line = parseJsonLine({ text, number: 0, where });
  for (const [other, name] of Object.entries(OTHER_NAMES)) {
    if (other in line.value && !(name in line.value)) {
      const form = name === 'negatives' ? 'a list of strings' : 'a string';
      throw new FlesError('ERR_RECORD_FIELD', `${where} has the field "${other}", expected "${name}", ${form}`);
    }
  }
  const pair: Pair = {
    query: filled(stringField(line, 'query'), `${where} field "query"`),
    positive: filled(stringField(line, 'positive'), `${where} field "positive"`),
    negatives: listField(line, 'negatives').map((_, i, all) =>
      stringField({ ...line, value: { [`negatives[${i}]`]: all[i] } }, `negatives[${i}]`),
    ),
  };
  const scores = scoresField(line, 1 + pair.negatives.length);
  return scores ? { ...pair, scores } : pair;
}

/** A parser of lines that must all have as many columns as the first one. */
function columnParser(): ParsePair {
  let columns = 0;
  return (text, where) => {
    const [query, positive, ...negatives] = text.split('\t');
    const seen = 2 + negatives.length;
    if (columns === 0 && positive !== undefined) columns = seen;
    if (query === undefined || positive === undefined || seen !== columns) {
      const expected = columns === 0 ? '2 or more' : `${columns} as on the first line`;
      throw new FlesError(
        'ERR_TSV_LINE',
        `${where} has ${positive === undefined ? 1 : seen} columns, expected ${expected} (query, positive, negatives) between tabs`,
      );
    }
    return { query: filled(query, `${where} query`), positive: filled(positive, `${where} positive`), negatives };
  };
}

function filled(text: string, what: string): string {
  if (text.trim() !== '') return text;
  throw new FlesError('ERR_RECORD_FIELD', `${what} is empty, expected a text to train with`);
}
