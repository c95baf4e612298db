import { checkChoice, checkInteger, checkKeys, show } from '../check';
import { FlesError } from '../errors';
import { LargeMap } from '../large-map';
import { cancellable, type NativeIndex, native } from '../native';
import { type BuildOptions, buildIndex, checkIndexDirectory, type IndexDocument } from './build';
import { Rows, TermIds, type VectorLike, vectorsOf } from './vectors';

/** `block_accumulation` is the fast one; `exhaustive` returns the same and is there to compare with. */
export type SearchAlgorithm = 'block_accumulation' | 'exhaustive';

export interface SearchOptions {
  /** Number of hits, 1 or more; fewer come back when fewer documents share a term with the query. */
  k: number;
  algorithm?: SearchAlgorithm;
  signal?: AbortSignal;
}

export interface Hit {
  /** The id that the document was indexed under. */
  id: string;
  /** The document's number: its place in the order of indexing, from 0. */
  document: number;
  /** Inner product of the query and the document, a float32 above 0. */
  score: number;
}

/** Bytes of an index on the disk, by what they hold; they add up to `total`, the size of its file. */
export interface IndexBytes {
  total: number;
  /** Document numbers of the postings, 2 bytes each. */
  documentIds: number;
  /** Weights of the postings, float32. */
  weights: number;
  /** Score bounds for pruning: none in this format. */
  bounds: number;
  /** The directory that finds a term's postings in a block of documents. */
  blocks: number;
  /** The terms' strings. */
  lexicon: number;
  /** The documents' ids as strings. */
  names: number;
  /** Header, checksums and padding. */
  header: number;
}

export interface IndexInfo {
  documents: number;
  /** Distinct terms. */
  terms: number;
  /** (term, document) pairs. */
  postings: number;
  bytes: IndexBytes;
  /** `bytes.total / postings`; 0 for an index without postings. */
  bytesPerPosting: number;
}

/** Queries handed to one thread at a time: enough to make the hand-over cheap, few enough to share the work evenly. */
const MAX_QUERIES_AT_ONCE = 32;

/**
 * An inverted index over sparse vectors, on disk and memory-mapped: exact inner-product search.
 *
 * The score of a document is `sum over shared terms of query weight * document weight`, each product and the sum in
 * float32, terms added in the order of their strings (UTF-16 code units). So a score depends on the two vectors alone,
 * not on the index, the algorithm, the machine or the form in which the vectors were given. Hits come by score
 * descending, equal scores by document number ascending; documents without a shared term are no hits.
 *
 * Searches run on threads of their own, as many as there are processors (`FLES_NUM_THREADS`), and may overlap.
 */
export class InvertedIndex {
  private readonly native: NativeIndex;
  private termIds: TermIds | undefined;
  private callsUnderWay = 0;
  private closed = false;
  /** What the index holds, in numbers; stays readable after `close`. */
  readonly info: IndexInfo;

  private constructor(index: NativeIndex) {
    this.native = index;
    this.info = infoOf(index);
  }

  /**
   * Indexes documents into `directory` and opens the result.
   *
   * `documents` is read once, in order, with backpressure; a document may be empty, ids must be unique. Memory stays
   * bounded in their number: they wait on the disk, in as much space as the index itself. The directory holds the old
   * index, if there was one, until the new one is whole, and then the new one. Parent directories are made if needed, and
   * stay; but for them, a failed or aborted build leaves nothing behind (a killed process leaves a folder with
   * `.tmp-` in its name, in the directory or beside it, which may be removed).
   *
   * Throws `ERR_ID_DUPLICATE`, `ERR_TERM_DUPLICATE`, `ERR_WEIGHT_RANGE` (a weight that is negative or not finite),
   * `ERR_STRING_SURROGATE`, `ERR_INDEX_DIRECTORY` (something else is in the directory), `ERR_INDEX_EXISTS`,
   * `ERR_INDEX_FULL`, `ERR_FILE_*`, `ERR_DISK_FULL`, and whatever `documents` throws.
   */
  static async build(
    directory: string,
    documents: Iterable<IndexDocument> | AsyncIterable<IndexDocument>,
    options: BuildOptions = {},
  ): Promise<InvertedIndex> {
    checkIndexDirectory(directory);
    checkKeys(options, ['overwrite', 'signal', 'onProgress']);
    await buildIndex(directory, documents, options);
    return InvertedIndex.open(directory);
  }

  /**
   * Maps the index in `directory` and verifies all of it, so that no damage can crash or mislead a search.
   *
   * Throws `ERR_FILE_NOT_FOUND`, `ERR_INDEX_MAGIC` (not an index), `ERR_INDEX_VERSION` (another version of the format),
   * `ERR_INDEX_CHECKSUM`, `ERR_INDEX_HEADER`, `ERR_INDEX_STRUCTURE` and `ERR_FILE_TRUNCATED` (damaged).
   */
  static async open(directory: string): Promise<InvertedIndex> {
    return new InvertedIndex(await native.NativeIndex.open(checkIndexDirectory(directory)));
  }

  /**
   * The `k` documents with the highest inner product with `query`, best first. Terms that the index lacks add nothing.
   *
   * Throws `ERR_WEIGHT_RANGE` (a weight of the query is negative or not finite), `ERR_TERM_DUPLICATE`,
   * `ERR_SCORE_RANGE` (a score is beyond the largest float32), `ERR_OPTION_RANGE` (k) and `ERR_DISPOSED` after `close`.
   */
  async search(query: VectorLike, options: SearchOptions): Promise<Hit[]> {
    return (await this.searchAll([query], options, () => 'the query'))[0]!;
  }

  /**
   * `search` for each query, a row of a `SparseMatrix` or any other vector, spread over the search threads; hits in their
   * order. The vectors must stay as they are until the promise is settled; the list that holds them may change. Errors
   * name the query by its number from 0.
   */
  async searchBatch(vectors: Iterable<VectorLike>, options: SearchOptions): Promise<Hit[][]> {
    return this.searchAll(vectors, options, (query) => `query ${query}`);
  }

  private async searchAll(
    vectors: Iterable<VectorLike>,
    options: SearchOptions,
    nameOf: (query: number) => string,
  ): Promise<Hit[][]> {
    checkKeys(options, ['k', 'algorithm', 'signal']);
    const k = checkInteger('k', options.k, 1, 2 ** 32 - 1);
    const algorithm = checkChoice('algorithm', options.algorithm ?? 'block_accumulation', [
      'block_accumulation',
      'exhaustive',
    ]);
    const queries = vectorsOf(vectors);
    if (this.closed) throw new FlesError('ERR_DISPOSED', 'the index was closed; open it again');
    this.callsUnderWay++;
    try {
      return await this.searchParts(queries, k, algorithm, options.signal, nameOf);
    } finally {
      this.callsUnderWay--;
      this.releaseWhenIdle();
    }
  }

  private searchParts(
    queries: readonly VectorLike[],
    k: number,
    algorithm: SearchAlgorithm,
    signal: AbortSignal | undefined,
    nameOf: (query: number) => string,
  ): Promise<Hit[][]> {
    const threads = native.threadCount();
    const perPart = Math.min(MAX_QUERIES_AT_ONCE, Math.ceil(queries.length / (4 * threads)));
    const parts: Hit[][][] = [];
    let begin = 0;
    return cancellable(signal, async (cancellation) => {
      // Two parts a thread are under way at a time: the event loop gets its turn, and no thread waits for it.
      const worker = async () => {
        try {
          while (begin < queries.length) {
            const first = begin;
            begin += perPart;
            const nameInPart = (query: number) => nameOf(first + query);
            const rows = this.rowsOf(queries.slice(first, begin), nameInPart);
            const found = await this.native.search(...rows.arrays(), k, algorithm, cancellation);
            parts[first / perPart] = hitsOf(found, nameInPart);
          }
        } catch (error) {
          begin = queries.length; // stops the others
          throw error;
        }
      };
      await Promise.all(Array.from({ length: 2 * threads }, worker));
      return parts.flat();
    });
  }

  /** Unmaps the index once the searches under way have ended; later calls throw `ERR_DISPOSED`. */
  close(): void {
    this.closed = true;
    this.releaseWhenIdle();
  }

  private releaseWhenIdle(): void {
    if (!this.closed || this.callsUnderWay > 0) return;
    this.termIds = undefined;
    this.native.close();
  }

  /** Queries as rows of the index's term ids, each in the order of the terms' strings. */
  private rowsOf(queries: readonly VectorLike[], nameOf: (query: number) => string): Rows {
    this.termIds ??= this.readLexicon();
    const rows = new Rows();
    for (const [number, query] of queries.entries()) {
      const known: { term: string; id: number; weight: number }[] = [];
      this.termIds.forEach(
        query,
        () => nameOf(number),
        (id, weight, term) => known.push({ term, id, weight }),
      );
      known.sort((a, b) => (a.term < b.term ? -1 : 1));
      for (const [i, { term, id, weight }] of known.entries()) {
        if (term === known[i - 1]?.term) {
          throw new FlesError(
            'ERR_TERM_DUPLICATE',
            `${nameOf(number)} has term ${show(term)} twice; give each term one weight`,
          );
        }
        rows.push(id, weight);
      }
      rows.endRow();
    }
    return rows;
  }

  private readLexicon(): TermIds {
    const ids = new LargeMap<number>();
    for (const [id, term] of this.native.lexicon().entries()) ids.add(term, id);
    return new TermIds((term) => ids.get(term) ?? -1);
  }
}

function hitsOf(found: Awaited<ReturnType<NativeIndex['search']>>, nameOf: (query: number) => string): Hit[][] {
  const { ends, ids, documents, scores } = found;
  return Array.from(ends, (end, query) => {
    const begin = query === 0 ? 0 : ends[query - 1]!;
    // Infinite scores are equal, so their order would say nothing. The best comes first.
    if (scores[begin] === Number.POSITIVE_INFINITY && begin < end) {
      throw new FlesError(
        'ERR_SCORE_RANGE',
        `the score of ${nameOf(query)} with document ${show(ids[begin])} is beyond the largest float32; give smaller weights`,
      );
    }
    return Array.from({ length: end - begin }, (_, i) => ({
      id: ids[begin + i]!,
      document: documents[begin + i]!,
      score: scores[begin + i]!,
    }));
  });
}

function infoOf(index: NativeIndex): IndexInfo {
  const { documents, terms, postings, sections, fileBytes } = index.info;
  const sum = (begin: number, end: number) => sections.slice(begin, end).reduce((a, b) => a + b, 0);
  // The order of sections in the file: docs/format.md.
  const bytes: IndexBytes = {
    total: fileBytes,
    documentIds: sum(0, 1),
    weights: sum(1, 2),
    bounds: 0,
    blocks: sum(2, 6),
    lexicon: sum(6, 8),
    names: sum(8, 10),
    header: fileBytes - sum(0, 10),
  };
  return { documents, terms, postings, bytes, bytesPerPosting: postings > 0 ? fileBytes / postings : 0 };
}
