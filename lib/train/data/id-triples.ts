import { createHash } from 'node:crypto';
import { FlesError } from '../../errors';
import { readJudgements } from '../../eval/trec';
import { combine } from './hash';
import { HashSet } from './hash-set';
import { IdPairs, type IdRows } from './id-pairs';
import { LineFile, type ScanOptions } from './line-file';
import { NumberList } from './number-list';
import { TextStore } from './text-store';

/** The files of a collection in MS MARCO's layout (Bajaj et al. 2016, arXiv:1611.09268). */
export interface IdTripleFiles {
  /** Ids of a query, a positive and a negative between tabs on each line: qidpidtriples.train.full.2.tsv. */
  triples: string;
  /** Id, tab, text: collection.tsv. */
  collection: string;
  /** Id, tab, text: queries.train.tsv. */
  queries: string;
  /** Judgements: more documents that are no negatives of a query than the triples name. */
  qrels?: string;
}

/**
 * Triples of ids as training examples. Ids are integers in 0..999999999. Random negatives come from the collection.
 *
 * Throws `ERR_TSV_LINE` for a line that is not three such integers, `ERR_QUERY_NOT_FOUND` and `ERR_DOCUMENT_NOT_FOUND` for ids
 * that have no text, all naming file and line, and what `TextStore.open` throws.
 */
export async function openIdTriples(files: IdTripleFiles, options: ScanOptions = {}): Promise<IdPairs> {
  const opened: { close(): Promise<void> }[] = [];
  try {
    const queries = await TextStore.open(files.queries, options);
    opened.push(queries);
    const documents = await TextStore.open(files.collection, options);
    opened.push(documents);
    const positives = new HashSet();
    const hash = createHash('sha256');
    if (files.qrels !== undefined) {
      for await (const { query, document, relevance } of readJudgements(files.qrels, options)) {
        if (relevance < 1) continue;
        positives.add(combine(queries.keyOf(query), documents.keyOf(document)));
        hash.update(`${query}\t${document}\n`);
      }
    }
    const file = await openTriples(files.triples, queries, documents, positives, options);
    opened.push(file);
    hash.update(file.fingerprint);
    return new IdPairs(rowsOf(file, queries, documents, hash.digest('hex')), queries, documents, positives);
  } catch (error) {
    await Promise.all(opened.map((file) => file.close()));
    throw error;
  }
}

/** Opens the triples, checks that their ids exist, and adds their positives. */
function openTriples(
  path: string,
  queries: TextStore,
  documents: TextStore,
  positives: HashSet,
  options: ScanOptions,
): Promise<LineFile> {
  const triple = new Float64Array(3);
  return LineFile.open(
    path,
    'three ids on each line',
    (bytes, begin, end, number) => {
      if (!parseTriple(bytes, begin, end, triple)) {
        const seen = JSON.stringify(bytes.toString('utf8', begin, Math.min(end, begin + 60)));
        throw new FlesError(
          'ERR_TSV_LINE',
          `${path}:${number} is ${seen}, expected three integers in 0..999999999 (query, positive, negative) between tabs`,
        );
      }
      const [query, positive, negative] = triple as unknown as [number, number, number];
      if (!queries.hasInteger(query)) throw notFound('QUERY', `${path}:${number}`, query, queries);
      if (!documents.hasInteger(positive)) throw notFound('DOCUMENT', `${path}:${number}`, positive, documents);
      if (!documents.hasInteger(negative)) throw notFound('DOCUMENT', `${path}:${number}`, negative, documents);
      positives.add(combine(queries.keyOfInteger(query), documents.keyOfInteger(positive)));
    },
    options,
  );
}

function rowsOf(file: LineFile, queries: TextStore, documents: TextStore, fingerprint: string): IdRows {
  const number = (store: TextStore, kind: 'QUERY' | 'DOCUMENT', id: string) => {
    const found = store.find(id);
    if (found < 0) throw notFound(kind, file.path, Number(id), store);
    return found;
  };
  return {
    name: file.path,
    size: file.count,
    fingerprint,
    notes: [],
    read: async (rows) =>
      (await file.read(rows)).map((line) => {
        const [query, positive, negative] = line.split('\t') as [string, string, string];
        return [
          number(queries, 'QUERY', query),
          number(documents, 'DOCUMENT', positive),
          number(documents, 'DOCUMENT', negative),
        ];
      }),
    findByQuery: async (ids, options) => {
      const found = new NumberList();
      let count = 0;
      await file.visit((bytes, begin) => {
        if (ids.has(bytes.toString('latin1', begin, bytes.indexOf(0x09, begin)))) found.push(count);
        count++;
      }, options);
      return found.toArray();
    },
    close: () => file.close(),
  };
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

function notFound(kind: 'QUERY' | 'DOCUMENT', where: string, id: number, store: TextStore): FlesError {
  return new FlesError(
    `ERR_${kind}_NOT_FOUND`,
    `${where} names the ${kind.toLowerCase()} ${id}, which ${store.path} lacks; use files that belong together`,
  );
}
