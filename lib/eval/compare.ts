import { tmpdir } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import {
  checkArray,
  checkBoolean,
  checkCallable,
  checkChoice,
  checkFunction,
  checkInteger,
  checkKeys,
  checkNumber,
  checkObject,
  checkString,
  show,
} from '../check';
import { FlesError, throwIfAborted } from '../errors';
import type { Hit } from '../index/inverted-index';
import type { SparseMatrix } from '../sparse-matrix';
import { type BeirDataset, documentText } from './beir';
import { Bm25Index } from './bm25';
import { type Evaluation, evaluate } from './evaluate';
import { type DenseRows, searchDense } from './exhaustive';
import { DEFAULT_METRICS, deepestCut, namedMetrics } from './metrics';
import type { Run } from './ranking';
import { cut, flops, meanNnz } from './statistics';
import type { Bm25System, DenseSystem, SparseSearcherFactory, SparseSystem, System } from './systems';
import { indexesIn } from './temporary-index';
import { separateTies } from './tie-scores';

export type Phase = 'encode documents' | 'encode queries' | 'index' | 'search';

/** The keys of `CompareOptions`. */
export const COMPARE_KEYS = [
  'thresholds',
  'createSearcher',
  'metrics',
  'depth',
  'keepSameId',
  'signal',
  'onProgress',
] as const satisfies (keyof CompareOptions)[];

export interface CompareOptions {
  /** Cut documents and queries of sparse systems alike; by default 0 alone. */
  thresholds?: readonly number[];
  /** Builds the index of a sparse system; by default an `InvertedIndex` in a temporary folder. */
  createSearcher?: SparseSearcherFactory;
  /** trec_eval's names, `DEFAULT_METRICS` by default. */
  metrics?: readonly string[];
  /** Documents a query of the runs, by default 1000, or as many as the largest cut-off of the metrics. */
  depth?: number;
  /** Keep a document whose id equals the query's, by default not, as BEIR has it. */
  keepSameId?: boolean;
  signal?: AbortSignal;
  onProgress?(progress: { system: string; phase: Phase; done: number; total: number | undefined }): void;
}

/** One system at one threshold. What does not apply is null. */
export interface ComparisonRow {
  system: string;
  /** Null where none is applied: BM25 and dense systems. */
  threshold: number | null;
  /** Means over all judged queries, by metric. */
  metrics: Record<string, number>;
  /** Mean number of non-zero terms of a document and of a query; null for dense systems. */
  nnz: { documents: number; queries: number } | null;
  /** Expected products of a query with a document; null for dense systems. */
  flops: number | null;
  /** Size of the index, with its parts where it has some; null for BM25, which stays in memory. */
  indexBytes: { total: number; [part: string]: number } | null;
  /** Terms by field, repeated ones counted each time; null except for BM25. */
  terms: Record<string, number> | null;
  /** Documents that were searched. */
  documents: number;
  /** Judged queries. */
  queries: number;
  /** Judged queries without results, which count 0. */
  unanswered: number;
  seconds: { encodeDocuments: number | null; encodeQueries: number | null; index: number | null; search: number };
}

export interface ComparisonResult {
  row: ComparisonRow;
  run: Run;
  evaluation: Evaluation;
}

/**
 * Runs systems over the judged queries of a data set, one result for each system and threshold, in that order. A sparse
 * system encodes once, at threshold 0, and is cut at each threshold. Only the run of the last result is held.
 *
 * Throws `ERR_SYSTEM_NAME` for a name that is not unique or cannot be part of a file name, `ERR_SYSTEM_ROWS` for an
 * encoder that does not give one row a text, `ERR_OPTION_RANGE`, and what the readers and systems throw.
 */
export async function* compare(
  dataset: BeirDataset,
  systems: readonly System[],
  options: CompareOptions = {},
): AsyncGenerator<ComparisonResult> {
  checkKeys(options, COMPARE_KEYS);
  checkDataset(dataset);
  checkSystems(systems);
  throwIfAborted(options.signal);
  const comparison = new Comparison(dataset, options);
  for (const system of systems) {
    throwIfAborted(options.signal);
    if (system.kind === 'bm25') yield await comparison.bm25(system);
    else if (system.kind === 'dense') yield await comparison.dense(system);
    else yield* comparison.sparse(system);
  }
}

interface Encoded<Matrix> {
  documents: Matrix;
  queries: Matrix;
  ids: readonly string[];
  seconds: { encodeDocuments: number; encodeQueries: number };
}

/** Queries of BM25 between two turns of other work: some milliseconds. */
const QUERIES_A_TURN = 16;

class Comparison {
  private readonly thresholds: readonly number[];
  private readonly depth: number;
  /** One more than is kept, in case one of them has the id of the query. */
  private readonly k: number;
  private corpus: { ids: string[]; texts: string[] } | undefined;

  constructor(
    private readonly dataset: BeirDataset,
    private readonly options: CompareOptions,
  ) {
    const thresholds = options.thresholds ?? [0];
    // Here, because a name that is none would show after the first system only.
    const metrics = namedMetrics(options.metrics ?? DEFAULT_METRICS).map(({ name }) => name);
    checkBoolean('keepSameId', options.keepSameId);
    checkFunction('createSearcher', options.createSearcher);
    checkArray('thresholds', thresholds, 'numbers');
    this.thresholds = [...new Set(thresholds.map((t) => checkNumber('threshold', t, 0, Number.MAX_VALUE)))];
    this.depth = checkInteger('depth', options.depth ?? Math.max(1000, deepestCut(metrics)), 1, 1e6);
    this.k = this.depth + (options.keepSameId ? 0 : 1);
  }

  async bm25(system: Bm25System): Promise<ComparisonResult> {
    const { signal } = this.options;
    const documents = this.dataset.documents({ signal });
    const [index, indexSeconds] = await timed(() =>
      Bm25Index.build(documents, { fields: system.fields, signal, onProgress: this.progress(system, 'index') }),
    );
    const queries = [...this.dataset.queries.values()];
    const progress = this.progress(system, 'search');
    const [hits, search] = await timed(async () => {
      const found: Hit[][] = [];
      for (const query of queries) {
        // Other work of the thread gets its turn, an abort among it.
        if (found.length % QUERIES_A_TURN === 0) await setImmediate();
        throwIfAborted(signal);
        found.push(index.search(query, this.k));
        progress(found.length, queries.length);
      }
      return found;
    });
    const { documents: count, fields } = index.statistics;
    const run = this.toRun(hits);
    for (const [query, found] of run) run.set(query, separateTies(found));
    return this.result(system, run, {
      threshold: null,
      ...index.sparsity(queries),
      indexBytes: null,
      terms: Object.fromEntries(Object.entries(fields).map(([name, { terms }]) => [name, terms])),
      documents: count,
      seconds: { encodeDocuments: null, encodeQueries: null, index: indexSeconds, search },
    });
  }

  async dense(system: DenseSystem): Promise<ComparisonResult> {
    const { documents, queries, ids, seconds } = await this.encode<DenseRows>(system);
    const onProgress = this.progress(system, 'search');
    const [hits, search] = await timed(() =>
      searchDense(documents, ids, queries, { k: this.k, signal: this.options.signal, onProgress }),
    );
    return this.result(system, this.toRun(hits), {
      threshold: null,
      nnz: null,
      flops: null,
      indexBytes: { total: documents.values.byteLength },
      terms: null,
      documents: documents.rows,
      seconds: { ...seconds, index: null, search },
    });
  }

  async *sparse(system: SparseSystem): AsyncGenerator<ComparisonResult> {
    const { signal } = this.options;
    const createSearcher = this.options.createSearcher ?? indexesIn(tmpdir(), signal);
    const encoded = await this.encode<SparseMatrix>(system);
    for (const threshold of this.thresholds) {
      throwIfAborted(signal);
      const documents = cut(encoded.documents, threshold);
      const queries = cut(encoded.queries, threshold);
      this.progress(system, 'index')(0, documents.rows);
      const [searcher, index] = await timed(() => createSearcher(documents, encoded.ids));
      try {
        this.progress(system, 'search')(0, queries.rows);
        const [hits, search] = await timed(() => searcher.search(queries, this.k));
        yield this.result(system, this.toRun(hits), {
          threshold,
          nnz: { documents: meanNnz(documents), queries: meanNnz(queries) },
          flops: flops(queries, documents),
          indexBytes: { ...searcher.bytes },
          terms: null,
          documents: documents.rows,
          seconds: { ...encoded.seconds, index, search },
        });
      } finally {
        await searcher.close();
      }
    }
  }

  private async encode<Matrix extends { rows: number }>(system: {
    name: string;
    encode: (...parameters: Parameters<SparseSystem['encode']>) => Promise<Matrix>;
  }): Promise<Encoded<Matrix>> {
    const { ids, texts } = await this.readCorpus();
    const encode = async (all: readonly string[], kind: 'query' | 'document', phase: Phase) => {
      const callbacks = { signal: this.options.signal, onProgress: this.progress(system, phase) };
      const [matrix, seconds] = await timed(() => system.encode(all, kind, callbacks));
      if (matrix.rows !== all.length) {
        throw new FlesError(
          'ERR_SYSTEM_ROWS',
          `${system.name} encoded ${all.length} texts into ${matrix.rows} rows, expected one row a text`,
        );
      }
      return [matrix, seconds] as const;
    };
    const [documents, encodeDocuments] = await encode(texts, 'document', 'encode documents');
    const [queries, encodeQueries] = await encode([...this.dataset.queries.values()], 'query', 'encode queries');
    return { documents, queries, ids, seconds: { encodeDocuments, encodeQueries } };
  }

  private async readCorpus() {
    if (!this.corpus) {
      const ids: string[] = [];
      const texts: string[] = [];
      for await (const document of this.dataset.documents({ signal: this.options.signal })) {
        ids.push(document.id);
        texts.push(documentText(document));
      }
      this.corpus = { ids, texts };
    }
    return this.corpus;
  }

  private toRun(hits: readonly Hit[][]): Run {
    const run: Run = new Map();
    for (const [i, query] of [...this.dataset.queries.keys()].entries()) {
      const kept = this.options.keepSameId ? hits[i]! : hits[i]!.filter(({ id }) => id !== query);
      run.set(
        query,
        kept.slice(0, this.depth).map(({ id, score }) => ({ document: id, score })),
      );
    }
    return run;
  }

  private result(
    system: System,
    run: Run,
    row: Omit<ComparisonRow, 'system' | 'metrics' | 'queries' | 'unanswered'>,
  ): ComparisonResult {
    const evaluation = evaluate(this.dataset.qrels, run, { metrics: this.options.metrics, perQuery: true });
    const { metrics, queries, unanswered } = evaluation;
    const { threshold, ...rest } = row;
    return {
      row: { system: system.name, threshold, metrics, ...rest, queries, unanswered: unanswered.length },
      run,
      evaluation,
    };
  }

  private progress({ name }: { name: string }, phase: Phase) {
    return (done: number, total?: number) => this.options.onProgress?.({ system: name, phase, done, total });
  }
}

async function timed<T>(action: () => Promise<T>): Promise<[result: T, seconds: number]> {
  const begin = performance.now();
  const result = await action();
  return [result, (performance.now() - begin) / 1000];
}

/** Throws `ERR_ARGUMENT_TYPE` for what `readBeir` does not give. */
export function checkDataset(dataset: BeirDataset): void {
  checkObject('dataset', dataset, 'a data set, as readBeir gives', ['directory', 'qrels', 'queries', 'documents']);
}

function checkSystems(systems: readonly System[]): void {
  const seen = new Set<string>();
  for (const [i, system] of checkArray('systems', systems, 'systems').entries()) {
    const { kind, name } = checkObject(`systems[${i}]`, system, 'a system: {kind, name, ...}');
    checkChoice(`kind of systems[${i}]`, kind, ['sparse', 'dense', 'bm25']);
    checkString(`name of systems[${i}]`, name);
    if (system.kind !== 'bm25') checkCallable(`encode of ${name}`, system.encode);
    if (!/^[^\s/\\:*?"<>|\0]+$/.test(name) || /^\.+$/.test(name)) {
      throw new FlesError(
        'ERR_SYSTEM_NAME',
        `the system name ${show(name)} cannot be part of a file name; choose another`,
      );
    }
    if (seen.has(name))
      throw new FlesError('ERR_SYSTEM_NAME', `two systems are called ${show(name)}; names are unique`);
    seen.add(name);
  }
}
