import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { FlesError } from '../../errors';
import { qrelsPath } from '../../eval/beir';
import { readJudgements } from '../../eval/trec';
import { combine } from './hash';
import { HashSet } from './hash-set';
import { IdPairs, type IdRows } from './id-pairs';
import type { ScanOptions } from './line-file';
import { NumberList } from './number-list';
import { TextStore } from './text-store';

/**
 * The judgements of a split in BEIR's layout as training examples, one for each relevant document of a query, in the order of
 * `qrels/SPLIT.tsv`. Random negatives come from `corpus.jsonl`. Takes 16 bytes an example beside its two stores.
 *
 * Judgements below 1, of documents that the corpus lacks, and of empty documents or queries make no example.
 *
 * Throws `ERR_SPLIT_NOT_FOUND`, `ERR_QUERY_NOT_FOUND` for a judged query without text, `ERR_QRELS_LINE`, `ERR_FILE_EMPTY`, and
 * what `TextStore.open` throws.
 */
export async function openBeirPairs(directory: string, split: string, options: ScanOptions = {}): Promise<IdPairs> {
  const path = await qrelsPath(directory, split);
  const opened: TextStore[] = [];
  try {
    const queries = await TextStore.open(join(directory, 'queries.jsonl'), options);
    opened.push(queries);
    const documents = await TextStore.open(join(directory, 'corpus.jsonl'), options);
    opened.push(documents);
    const positives = new HashSet();
    const rows = await readRows(path, queries, documents, positives, options);
    return new IdPairs({ ...rows, name: `${directory} (${split})` }, queries, documents, positives);
  } catch (error) {
    await Promise.all(opened.map((store) => store.close()));
    throw error;
  }
}

async function readRows(
  path: string,
  queries: TextStore,
  documents: TextStore,
  positives: HashSet,
  { signal }: ScanOptions,
): Promise<IdRows> {
  const rowQueries = new NumberList();
  const rowDocuments = new NumberList();
  const hash = createHash('sha256');
  let last = { id: '', number: -1 };
  let missing = 0;
  let blank = 0;
  for await (const { query, document, relevance, where } of readJudgements(path, { signal })) {
    if (relevance < 1) continue;
    if (query !== last.id || last.number < 0) last = { id: query, number: queries.find(query) };
    if (last.number < 0) {
      throw new FlesError(
        'ERR_QUERY_NOT_FOUND',
        `${where} judges the query ${query}, which ${queries.path} lacks; add it or remove its judgements`,
      );
    }
    const found = documents.find(document);
    if (found < 0) {
      missing++;
      continue;
    }
    if (queries.isBlank(last.number) || documents.isBlank(found)) {
      blank++;
      continue;
    }
    hash.update(`${query}\t${document}\n`);
    rowQueries.push(last.number);
    rowDocuments.push(found);
    positives.add(combine(queries.keyOf(query), documents.keyOf(document)));
  }
  if (rowQueries.length === 0) {
    throw new FlesError(
      'ERR_FILE_EMPTY',
      `${path} has no relevant document that ${documents.path} has; expected judgements above 0 of its documents that have a text`,
    );
  }
  return rowsOf(rowQueries.toArray(), rowDocuments.toArray(), queries, {
    name: path,
    fingerprint: hash.digest('hex'),
    notes: [
      ...(missing > 0
        ? [`${path} names ${missing} relevant documents that ${documents.path} lacks; they are left out`]
        : []),
      ...(blank > 0 ? [`${blank} judgements of ${path} have an empty query or document; they are left out`] : []),
    ],
  });
}

function rowsOf(
  rowQueries: Float64Array,
  rowDocuments: Float64Array,
  queries: TextStore,
  facts: Pick<IdRows, 'name' | 'fingerprint' | 'notes'>,
): IdRows {
  return {
    ...facts,
    scored: false,
    size: rowQueries.length,
    read: async (rows) => rows.map((row) => ({ query: rowQueries[row]!, documents: [rowDocuments[row]!] })),
    findByQuery: async (ids) => {
      const numbers = new Set([...ids].map((id) => queries.find(id)));
      const found = new NumberList();
      for (const [row, query] of rowQueries.entries()) if (numbers.has(query)) found.push(row);
      return found.toArray();
    },
    close: async () => {},
  };
}
