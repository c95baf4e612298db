import { createHash } from 'node:crypto';
import { FlesError } from '../../errors';
import { readJudgements } from '../../eval/trec';
import { idField, type JsonLine, parseJsonLine } from '../../text/lines';
import { combine } from './hash';
import { HashSet } from './hash-set';
import { IdPairs, type IdRows } from './id-pairs';
import { LineFile, type ScanOptions } from './line-file';
import { NumberList } from './number-list';
import { listField, scoresField } from './record-fields';
import { TextStore } from './text-store';

/** Examples that name texts by id, and the files that have the texts. */
export interface IdFiles {
  /** An example a line, in one of two forms: see `openIdFile`. */
  examples: string;
  /** Documents by id: collection.tsv or corpus.jsonl. */
  corpus: string;
  /** Queries by id: queries.train.tsv or queries.jsonl. */
  queries: string;
  /** Judgements: more documents that are no negatives of a query than the examples name. */
  qrels?: string;
}

/** The ids of a line. */
interface Ids {
  query: string;
  /** The positive first. */
  documents: string[];
  scores?: Float32Array;
}

/** How a form is read. */
interface IdForm {
  expected: string;
  /** Checks a line as such, and that its ids have texts; adds the pair of its query and its positive to `positives`. */
  check(bytes: Buffer, begin: number, end: number, number: number): void;
  parse(line: string): Ids;
  /** Whether a line that was checked has scores. */
  readonly scored: boolean;
}

/**
 * Opens examples of ids. Random negatives come from the corpus. The lines have one of two forms:
 *
 * - `tsv`: a query, a positive and a negative between tabs, integers in 0..999999999, as MS MARCO's qidpidtriples.train.full.2.tsv
 *   has them (Bajaj et al. 2016, arXiv:1611.09268);
 * - `jsonl`: `{"ids": {"query": ..., "positive": ..., "negatives": [...]}}`, and if there are some, a teacher's `scores` of the
 *   positive and of each negative.
 *
 * Throws `ERR_TSV_LINE`, `ERR_JSON_LINE` or `ERR_RECORD_FIELD` for a line of another form, `ERR_QUERY_NOT_FOUND` and
 * `ERR_DOCUMENT_NOT_FOUND` for ids that have no text, all naming file and line, and what `TextStore.open` throws.
 */
export async function openIdFile(files: IdFiles, format: 'tsv' | 'jsonl', options: ScanOptions = {}): Promise<IdPairs> {
  const opened: { close(): Promise<void> }[] = [];
  try {
    const queries = await TextStore.open(files.queries, options);
    opened.push(queries);
    const documents = await TextStore.open(files.corpus, options);
    opened.push(documents);
    const positives = new HashSet();
    const hash = createHash('sha256');
    if (files.qrels !== undefined) {
      for await (const { query, document, relevance } of readJudgements(files.qrels, { signal: options.signal })) {
        if (relevance < 1) continue;
        positives.add(combine(queries.keyOf(query), documents.keyOf(document)));
        hash.update(`${query}\t${document}\n`);
      }
    }
    const form = (format === 'tsv' ? triples : records)(files.examples, queries, documents, positives);
    const file = await LineFile.open(files.examples, form.expected, form.check, options);
    opened.push(file);
    hash.update(file.fingerprint);
    return new IdPairs(rowsOf(file, form, queries, documents, hash.digest('hex')), queries, documents, positives);
  } catch (error) {
    await Promise.all(opened.map((file) => file.close()));
    throw error;
  }
}

function rowsOf(file: LineFile, form: IdForm, queries: TextStore, documents: TextStore, fingerprint: string): IdRows {
  return {
    name: file.path,
    size: file.count,
    fingerprint,
    notes: [],
    scored: form.scored,
    read: async (rows) =>
      (await file.read(rows)).map((line) => {
        const ids = form.parse(line);
        return {
          query: numberOf(ids.query, queries, 'QUERY', file.path),
          documents: ids.documents.map((id) => numberOf(id, documents, 'DOCUMENT', file.path)),
          scores: ids.scores,
        };
      }),
    findByQuery: async (ids, options) => {
      const found = new NumberList();
      let count = 0;
      await file.visit((bytes, begin, end) => {
        if (ids.has(form.parse(bytes.toString('utf8', begin, end)).query)) found.push(count);
        count++;
      }, options);
      return found.toArray();
    },
    close: () => file.close(),
  };
}

function triples(path: string, queries: TextStore, documents: TextStore, positives: HashSet): IdForm {
  const triple = new Float64Array(3);
  return {
    expected: 'three ids on each line',
    scored: false,
    check(bytes, begin, end, number) {
      if (!parseTriple(bytes, begin, end, triple)) {
        const seen = JSON.stringify(bytes.toString('utf8', begin, Math.min(end, begin + 60)));
        throw new FlesError(
          'ERR_TSV_LINE',
          `${path}:${number} is ${seen}, expected three integers in 0..999999999 (query, positive, negative) between tabs`,
        );
      }
      const [query, positive, negative] = triple as unknown as [number, number, number];
      if (!queries.hasInteger(query)) throw notFound(query, queries, 'QUERY', `${path}:${number}`);
      if (!documents.hasInteger(positive)) throw notFound(positive, documents, 'DOCUMENT', `${path}:${number}`);
      if (!documents.hasInteger(negative)) throw notFound(negative, documents, 'DOCUMENT', `${path}:${number}`);
      positives.add(combine(queries.keyOfInteger(query), documents.keyOfInteger(positive)));
    },
    parse(line) {
      const [query, ...documents] = line.split('\t');
      return { query: query!, documents };
    },
  };
}

function records(path: string, queries: TextStore, documents: TextStore, positives: HashSet): IdForm {
  let scored = false;
  return {
    expected: 'an object with ids on each line',
    get scored() {
      return scored;
    },
    check(bytes, begin, end, number) {
      const where = `${path}:${number}`;
      const ids = parseRecord(bytes.toString('utf8', begin, end), where);
      scored ||= ids.scores !== undefined;
      numberOf(ids.query, queries, 'QUERY', where);
      for (const id of ids.documents) numberOf(id, documents, 'DOCUMENT', where);
      positives.add(combine(queries.keyOf(ids.query), documents.keyOf(ids.documents[0]!)));
    },
    parse: (line) => parseRecord(line, ''),
  };
}

function parseRecord(text: string, where: string): Ids {
  const line = parseJsonLine({ text, number: 0, where });
  const value = line.value.ids;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FlesError(
      'ERR_RECORD_FIELD',
      `${where} has no "ids" as the first line has, expected {"ids": {"query", "positive", "negatives"}}`,
    );
  }
  const inner: JsonLine = { ...line, where: `${where} ids`, value: value as Record<string, unknown> };
  const negatives = listField(inner, 'negatives').map((id) =>
    idField({ ...inner, value: { negative: id } }, 'negative'),
  );
  const documents = [idField(inner, 'positive'), ...negatives];
  return { query: idField(inner, 'query'), documents, scores: scoresField(line, documents.length) };
}

/** Reads three integers of at most nine digits, without leading zeros, between tabs. */
function parseTriple(bytes: Buffer, begin: number, end: number, triple: Float64Array): boolean {
  let at = begin;
  for (let column = 0; column < 3; column++) {
    const first = at;
    let value = 0;
    for (; at < end; at++) {
      const digit = bytes[at]! - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const digits = at - first;
    if (digits === 0 || digits > 9 || (digits > 1 && bytes[first] === 0x30)) return false;
    if (column < 2 ? bytes[at++] !== 0x09 : at !== end) return false;
    triple[column] = value;
  }
  return true;
}

type TextKind = 'QUERY' | 'DOCUMENT';

function numberOf(id: string, store: TextStore, kind: TextKind, where: string): number {
  const number = store.find(id);
  if (number < 0) throw notFound(id, store, kind, where);
  return number;
}

function notFound(id: string | number, store: TextStore, kind: TextKind, where: string): FlesError {
  return new FlesError(
    `ERR_${kind}_NOT_FOUND`,
    `${where} names the ${kind.toLowerCase()} ${id}, which ${store.path} lacks; use files that belong together`,
  );
}
