import { checkInteger, checkKeys, checkMap, checkString } from '../check';
import { FlesError } from '../errors';
import { formatFloat32 } from '../text/format-float32';
import { emptyFile, type Line, type LineOptions, type LineSource, readLines, sourceName } from '../text/lines';
import { writeTextFile } from '../text/output-file';
import { checkDocuments, type Qrels, type Run, rank, type ScoredDocument } from './ranking';

const BEIR_HEADER = 'query-id\tcorpus-id\tscore';

/** A line of a file of judgements. */
export interface Judgement {
  query: string;
  document: string;
  /** An integer in -2^31..2^31-1; below 1 means not relevant. */
  relevance: number;
  /** File and line. */
  where: string;
}

/**
 * Reads judgements, either as TREC has them (four columns between white space: query, iteration, document, relevance)
 * or as BEIR has them (three columns between tabs under the header `query-id corpus-id score`). Which of the two is
 * told by the first line. Empty lines are skipped.
 *
 * Relevance is an integer in -2^31..2^31-1; below 1 means not relevant.
 *
 * Throws `ERR_QRELS_LINE` naming file and line for another number of columns or another relevance,
 * `ERR_QRELS_DUPLICATE` for a pair that is judged twice, `ERR_FILE_EMPTY`, and what `readLines` throws.
 */
export async function readQrels(source: LineSource, options: LineOptions = {}): Promise<Qrels> {
  const qrels: Qrels = new Map();
  for await (const { query, document, relevance, where } of readJudgements(source, options)) {
    const judged = entry(qrels, query, () => new Map<string, number>());
    if (judged.has(document)) {
      throw new FlesError(
        'ERR_QRELS_DUPLICATE',
        `${where} judges document ${document} of query ${query} a second time; remove one of the two lines`,
      );
    }
    judged.set(document, relevance);
  }
  return qrels;
}

/** The judgements of a file one at a time, as `readQrels` reads them, a pair that is judged twice included. */
export async function* readJudgements(source: LineSource, options: LineOptions = {}): AsyncGenerator<Judgement> {
  let beir: boolean | undefined;
  let empty = true;
  for await (const line of readLines(source, options)) {
    if (line.text.trim() === '') continue;
    if (beir === undefined) {
      beir = line.text === BEIR_HEADER;
      if (beir) continue;
    }
    empty = false;
    const [query, document, relevance] = beir ? beirColumns(line) : trecColumns(line);
    yield { query, document, relevance, where: line.where };
  }
  if (empty) throw emptyFile(sourceName(source, options), 'judgements');
}

/** Writes judgements in TREC's four columns. Throws `ERR_RUN_ID` for an id with white space and `ERR_FILE_*`. */
export async function writeQrels(path: string, qrels: Qrels): Promise<void> {
  checkString('the path', path);
  checkMap('qrels', qrels, 'judgements by query id');
  await writeTextFile(path, qrelsLines(qrels));
}

/**
 * Reads a run in TREC's six columns: query, `Q0`, document, rank, score, tag. As in trec_eval the rank and the order of
 * lines are not used. Empty lines are skipped.
 *
 * Throws `ERR_RUN_LINE` naming file and line for another number of columns or a score that is not a finite number,
 * `ERR_RUN_DUPLICATE` for a document that a query lists twice, `ERR_FILE_EMPTY`, and what `readLines` throws.
 */
export async function readRun(source: LineSource, options: LineOptions = {}): Promise<Run> {
  const run: Run = new Map();
  const seen = new Map<string, Set<string>>();
  for await (const line of readLines(source, options)) {
    if (line.text.trim() === '') continue;
    const columns = split(line.text);
    if (columns.length !== 6) {
      throw new FlesError(
        'ERR_RUN_LINE',
        `${line.where} has ${columns.length} columns, expected 6 (query, Q0, document, rank, score, tag)`,
      );
    }
    const [query, , document, , number] = columns as [string, string, string, string, string, string];
    const score = decimal(number);
    if (!Number.isFinite(Math.fround(score))) {
      throw new FlesError('ERR_RUN_LINE', `${line.where} has the score ${number}, expected a finite number (float32)`);
    }
    const documents = entry(seen, query, () => new Set<string>());
    if (documents.has(document)) {
      throw new FlesError(
        'ERR_RUN_DUPLICATE',
        `${line.where} lists document ${document} of query ${query} a second time; remove one of the two lines`,
      );
    }
    documents.add(document);
    entry(run, query, (): ScoredDocument[] => []).push({ document, score });
  }
  if (run.size === 0) throw emptyFile(sourceName(source, options), 'the lines of a run');
  return run;
}

/**
 * Writes a run in TREC's six columns, each query's documents in the order in which trec_eval ranks them (ranks from 1).
 * Scores are float32, in the fewest digits that read back as the same float32. Queries without documents write nothing.
 *
 * Throws `ERR_RUN_ID` for an id or tag with white space, `ERR_RUN_SCORE` for a score that is not finite, `ERR_FILE_*`.
 */
export async function writeRun(path: string, run: Run, options: { tag?: string } = {}): Promise<void> {
  checkKeys(options, ['tag']);
  checkString('the path', path);
  checkMap('run', run, 'documents by query id');
  await writeTextFile(path, runLines(run, options.tag ?? 'fles'));
}

function* qrelsLines(qrels: Qrels): Generator<string> {
  for (const [query, judged] of qrels.entries()) {
    checkMap(`qrels of query ${query}`, judged, 'relevance by document id');
    for (const [document, relevance] of judged.entries()) {
      const [first, second] = [checkRunId(query, 'a query id'), checkRunId(document, 'a document id')];
      yield `${first} 0 ${second} ${checkRelevance(relevance)}\n`;
    }
  }
}

/** The lines that `writeRun` writes, each with its line end. */
export function* runLines(run: Run, tag: string): Generator<string> {
  for (const [query, documents] of run.entries()) yield* queryLines(query, rank(checkDocuments(query, documents)), tag);
}

/** The lines of one query, ranked in the order given. `places`: where the ids come from, if that is known. */
export function* queryLines(
  query: string,
  ranking: readonly ScoredDocument[],
  tag: string,
  places: { query?: string; documents?: string } = {},
): Generator<string> {
  checkRunId(tag, 'the tag');
  checkRunId(query, 'a query id', places.query);
  for (const [i, { document, score }] of ranking.entries()) {
    yield `${query} Q0 ${checkRunId(document, 'a document id', places.documents)} ${i + 1} ${formatScore(score)} ${tag}\n`;
  }
}

function beirColumns(line: Line): [query: string, document: string, relevance: number] {
  const columns = line.text.split('\t');
  if (columns.length !== 3) throw columnCount(line, columns.length, '3 between tabs (query, document, relevance)');
  const [query, document, relevance] = columns as [string, string, string];
  if (query === '' || document === '') {
    throw new FlesError('ERR_QRELS_LINE', `${line.where} has an empty id, expected a query id and a document id`);
  }
  return [query, document, integer(relevance, line)];
}

function trecColumns(line: Line): [query: string, document: string, relevance: number] {
  const columns = split(line.text);
  if (columns.length !== 4) throw columnCount(line, columns.length, '4 (query, 0, document, relevance)');
  const [query, , document, relevance] = columns as [string, string, string, string];
  return [query, document, integer(relevance, line)];
}

function columnCount(line: Line, seen: number, expected: string): FlesError {
  const hint = seen === 3 ? '; three columns need the header line of BEIR, "query-id<tab>corpus-id<tab>score"' : '';
  return new FlesError('ERR_QRELS_LINE', `${line.where} has ${seen} columns, expected ${expected}${hint}`);
}

function integer(text: string, line: Line): number {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  // The comparison is false for NaN.
  if (!(Math.abs(value) < 2 ** 31)) {
    throw new FlesError('ERR_QRELS_LINE', `${line.where} has the relevance "${text}", expected an integer`);
  }
  return value === 0 ? 0 : value;
}

function decimal(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}

/** The columns of a TREC line: what stands between ASCII white space, as C's isspace has it. */
function split(text: string): string[] {
  return text.split(/[ \t\v\f\r]+/).filter((column) => column !== '');
}

/**
 * An id, or the tag, as a column of a run. Throws `ERR_RUN_ID` for one that is empty or holds white space.
 *
 * @param what what it is, as the error says it
 * @param place where it comes from, if that is known
 */
export function checkRunId(text: string, what: string, place?: string): string {
  if (!/^[^ \t\v\f\r\n]+$/.test(checkString(what, text))) {
    const origin = place === undefined ? '' : ` (${place})`;
    throw new FlesError(
      'ERR_RUN_ID',
      `${JSON.stringify(text)}${origin} cannot be ${what} in a TREC file, expected at least one character and no white space`,
    );
  }
  return text;
}

function checkRelevance(relevance: number): number {
  return checkInteger('a relevance', relevance, -(2 ** 31), 2 ** 31 - 1);
}

function formatScore(score: number): string {
  if (!Number.isFinite(score)) {
    throw new FlesError('ERR_RUN_SCORE', `a score of the run is ${score}, expected a finite number (float32)`);
  }
  return formatFloat32(score);
}

function entry<V>(map: Map<string, V>, key: string, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}
