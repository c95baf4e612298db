import { resolve } from 'node:path';
import { checkChoice, checkKeys, checkMap, checkNumber, checkObject, checkString } from '../../check';
import { FlesError } from '../../errors';
import { readBeir } from '../../eval/beir';
import type { Qrels } from '../../eval/ranking';
import { withoutExamples } from './joined-pairs';
import { checkSource, type PairSource } from './pair-source';

/** Queries that a model will be tested with; with `qrels` also by what answers them. */
export interface TestSet {
  /** What messages call it. */
  name: string;
  /** Texts by id. */
  queries: ReadonlyMap<string, string>;
  qrels?: Qrels;
}

export interface LeakOptions {
  /**
   * Least Jaccard similarity of the words of two queries that makes them near duplicates, above 0 and up to 1. By default only
   * queries with the same words in the same order count.
   */
  similarity?: number;
  /**
   * Queries and judgements of the training data. With them, and with judgements of the test set, a training query whose set of
   * relevant documents is exactly that of a test query counts too.
   */
  train?: { queries: ReadonlyMap<string, string>; qrels: Qrels };
  signal?: AbortSignal;
}

/**
 * How a training query gives a test query away: the same words in the same order (case, accents' form and punctuation aside),
 * nearly the same set of words, or exactly the same relevant documents.
 */
export type LeakKind = 'same' | 'similar' | 'judgements';

export interface LeakCount {
  /** Training examples. */
  examples: number;
  /** Test queries that they give away. */
  testQueries: number;
  /** The first few, for a person to judge. */
  samples: { train: string; test: string; testId: string; similarity: number }[];
}

export interface LeakReport {
  testQueries: number;
  /** All examples of the training data. */
  examples: number;
  /** Each leaking example counts under one kind, the first that holds. */
  leaks: Record<LeakKind, LeakCount>;
  /** Numbers of the leaking examples, ascending. */
  numbers: Float64Array;
}

/** What to do about leaks: nothing, leave the examples out, or throw `ERR_DATA_LEAK`. */
export type LeakAction = (typeof LEAK_ACTIONS)[number];

const LEAK_ACTIONS = ['report', 'drop', 'fail'] as const;

const SAMPLES = 5;
const EXAMPLES_A_READ = 256;

/**
 * The queries of a split in BEIR's layout as a test set, and the judgements of the training data where that is another split of
 * the same folder: documents of other folders have other ids.
 *
 * Throws what `readBeir` throws.
 */
export async function readTestSet(
  directory: string,
  split: string,
  training: { paths: string | readonly string[]; split?: string },
): Promise<{ test: TestSet } & Pick<LeakOptions, 'train'>> {
  checkObject('training', training, '{paths, split?}', ['paths']);
  const { queries, qrels } = await readBeir(directory, split);
  const test = { name: `${directory} (${split})`, queries, qrels };
  const paths = [training.paths].flat().map((path) => resolve(path));
  if (!paths.includes(resolve(directory))) return { test };
  return { test, train: await readBeir(directory, training.split ?? 'train') };
}

/** Finds the training examples whose query gives away a query of the test set. Throws `ERR_OPTION_RANGE`. */
export async function findLeaks(source: PairSource, test: TestSet, options: LeakOptions = {}): Promise<LeakReport> {
  checkKeys(options, ['similarity', 'train', 'signal']);
  checkSource(source);
  checkMap(
    'queries of the test set',
    checkObject('test', test, 'a test set, as readTestSet gives').queries,
    'texts by id',
  );
  if (test.qrels !== undefined) checkMap('qrels of the test set', test.qrels, 'judgements by query id');
  if (options.train !== undefined) checkObject('train', options.train, '{queries, qrels}', ['queries', 'qrels']);
  const finder = new LeakFinder(test, options);
  const { signal } = options;
  const numbers = await source.findByQuery((query) => finder.find(query) !== undefined, { signal });
  const count = (): LeakCount & { ids: Set<string> } => ({ examples: 0, testQueries: 0, samples: [], ids: new Set() });
  const counts = { same: count(), similar: count(), judgements: count() };
  for (let begin = 0; begin < numbers.length; begin += EXAMPLES_A_READ) {
    signal?.throwIfAborted();
    for (const { query } of await source.examples([...numbers.subarray(begin, begin + EXAMPLES_A_READ)])) {
      const { kind, testId, similarity } = finder.find(query.text)!;
      const { ids, samples } = counts[kind];
      counts[kind].examples++;
      if (!ids.has(testId) && samples.length < SAMPLES) {
        samples.push({ train: query.text, test: test.queries.get(testId)!, testId, similarity });
      }
      ids.add(testId);
    }
  }
  const leakOf = ({ ids, ...rest }: ReturnType<typeof count>): LeakCount => ({ ...rest, testQueries: ids.size });
  return {
    testQueries: test.queries.size,
    examples: source.size,
    leaks: { same: leakOf(counts.same), similar: leakOf(counts.similar), judgements: leakOf(counts.judgements) },
    numbers,
  };
}

/**
 * Checks training data against a test set and acts on what it finds. The source returned is the one to train on.
 *
 * Throws `ERR_DATA_LEAK`, naming counts and an example, when there are leaks and the action is `fail`, `ERR_OPTION_VALUE` for another
 * action, and what `findLeaks` throws.
 */
export async function guardAgainstLeaks(
  source: PairSource,
  test: TestSet,
  action: LeakAction,
  options: LeakOptions = {},
): Promise<{ source: PairSource; report: LeakReport }> {
  checkChoice('action', action, LEAK_ACTIONS);
  const report = await findLeaks(source, test, options);
  if (action === 'fail' && report.numbers.length > 0) {
    const [first] = Object.values(report.leaks).flatMap(({ samples }) => samples);
    throw new FlesError(
      'ERR_DATA_LEAK',
      `${report.numbers.length} of ${source.size} examples of ${source.name} give away queries of ${test.name}, expected none: ${JSON.stringify(first!.train)} in training, ${JSON.stringify(first!.test)} in the test; leave them out`,
    );
  }
  return { source: action === 'drop' ? withoutExamples(source, report.numbers) : source, report };
}

interface Leak {
  kind: LeakKind;
  testId: string;
  similarity: number;
}

class LeakFinder {
  readonly #similarity: number;
  readonly #ids: string[] = [];
  /** Number of the test query by its normal form. */
  readonly #same = new Map<string, number>();
  readonly #sizes: number[] = [];
  /** Test queries by word. */
  readonly #postings = new Map<string, number[]>();
  /** Words shared with each test query; zero between calls. */
  readonly #shared: Int32Array;
  /** The test query with the same relevant documents as a training query has, by the text of the latter. */
  readonly #judged: ReadonlyMap<string, string>;

  constructor(test: TestSet, { similarity, train }: LeakOptions) {
    // Above 1 nothing is similar.
    this.#similarity = similarity === undefined ? 2 : checkNumber('similarity', similarity, Number.MIN_VALUE, 1);
    for (const [id, query] of test.queries.entries()) {
      const text = checkString(`query ${id} of the test set`, query);
      const number = this.#ids.push(id) - 1;
      const form = normalForm(text);
      if (!this.#same.has(form)) this.#same.set(form, number);
      const words = new Set(form.split(' '));
      this.#sizes.push(words.size);
      for (const word of words) {
        const those = this.#postings.get(word);
        if (those) those.push(number);
        else this.#postings.set(word, [number]);
      }
    }
    this.#shared = new Int32Array(this.#ids.length);
    this.#judged = train && test.qrels ? sameJudgements(train, test.qrels) : new Map();
  }

  find(query: string): Leak | undefined {
    const form = normalForm(query);
    const same = this.#same.get(form);
    if (same !== undefined) return { kind: 'same', testId: this.#ids[same]!, similarity: 1 };
    return this.#findSimilar(form) ?? this.#findJudged(query, form);
  }

  #findSimilar(form: string): Leak | undefined {
    if (this.#similarity > 1) return undefined;
    const words = new Set(form.split(' '));
    const met: number[] = [];
    for (const word of words) {
      for (const number of this.#postings.get(word) ?? []) if (this.#shared[number]!++ === 0) met.push(number);
    }
    let best: Leak | undefined;
    for (const number of met) {
      const similarity = jaccard(this.#shared[number]!, words.size, this.#sizes[number]!);
      this.#shared[number] = 0;
      if (similarity >= Math.max(this.#similarity, best?.similarity ?? 0) && similarity !== best?.similarity) {
        best = { kind: 'similar', testId: this.#ids[number]!, similarity };
      }
    }
    return best;
  }

  #findJudged(query: string, form: string): Leak | undefined {
    const testId = this.#judged.get(query);
    if (testId === undefined) return undefined;
    const words = new Set(form.split(' '));
    const number = this.#ids.indexOf(testId);
    let shared = 0;
    for (const word of words) if (this.#postings.get(word)?.includes(number)) shared++;
    return { kind: 'judgements', testId, similarity: jaccard(shared, words.size, this.#sizes[number] ?? 0) };
  }
}

function jaccard(shared: number, a: number, b: number): number {
  return shared / (a + b - shared);
}

/** Words in lower case with a space between, in Unicode's form NFKC; the text itself where it has no word. */
function normalForm(text: string): string {
  const words = text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, ' ')
    .trim();
  return words === '' ? text.trim() : words;
}

/** Training queries, by text, with the first test query that has exactly their relevant documents. */
function sameJudgements(train: NonNullable<LeakOptions['train']>, test: Qrels): Map<string, string> {
  const relevant = (judged: ReadonlyMap<string, number>) =>
    JSON.stringify([...judged].flatMap(([id, relevance]) => (relevance > 0 ? [id] : [])).sort());
  const bySet = new Map<string, string>();
  for (const [id, judged] of test) {
    const set = relevant(judged);
    if (set !== '[]' && !bySet.has(set)) bySet.set(set, id);
  }
  const found = new Map<string, string>();
  for (const [id, judged] of train.qrels) {
    const testId = bySet.get(relevant(judged));
    const text = train.queries.get(id);
    if (testId !== undefined && text !== undefined) found.set(text, testId);
  }
  return found;
}
