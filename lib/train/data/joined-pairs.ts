import { createHash } from 'node:crypto';
import { checkArray, show } from '../../check';
import { FlesError } from '../../errors';
import { checkNumbers, checkSource, type DocumentPool, type PairSource, type TrainingExample } from './pair-source';

/** Sources one after the other as one; random negatives of each come from all of them. */
export function joinPairs(sources: readonly PairSource[]): PairSource {
  for (const source of checkArray('sources', sources, 'training data')) checkSource(source);
  if (sources.length === 1) return sources[0]!;
  return new JoinedPairs(sources);
}

/** Documents of several pools, one pool after the other. */
export function joinPools(pools: readonly DocumentPool[]): DocumentPool {
  const begins = beginsOf(pools.map(({ size }) => size));
  const size = begins.at(-1)!;
  return {
    size,
    documents: async (numbers) =>
      fromParts(checkNumbers(numbers, size), begins, (part, own) => pools[part]!.documents(own)),
  };
}

class JoinedPairs implements PairSource {
  readonly name: string;
  readonly size: number;
  readonly fingerprint: string;
  readonly notes: readonly string[];
  readonly scored: boolean;
  readonly pool: DocumentPool;
  readonly #sources: readonly PairSource[];
  readonly #begins: number[];

  constructor(sources: readonly PairSource[]) {
    this.#sources = sources;
    this.name = sources.map(({ name }) => name).join(', ');
    this.notes = sources.flatMap(({ notes }) => notes);
    this.scored = sources.some(({ scored }) => scored);
    this.#begins = beginsOf(sources.map(({ size }) => size));
    this.size = this.#begins.at(-1)!;
    this.fingerprint = createHash('sha256')
      .update(sources.map(({ fingerprint }) => fingerprint).join())
      .digest('hex');
    // A corpus that several share counts once.
    this.pool = joinPools([...new Set(sources.map(({ pool }) => pool))]);
  }

  async examples(numbers: readonly number[]): Promise<TrainingExample[]> {
    return fromParts(checkNumbers(numbers, this.size), this.#begins, (part, own) => this.#sources[part]!.examples(own));
  }

  isPositive(query: number, document: number): boolean {
    return this.#sources.some((source) => source.isPositive(query, document));
  }

  async findByQuery(matches: (query: string) => boolean, options?: { signal?: AbortSignal }): Promise<Float64Array> {
    const found: number[][] = [];
    for (const [part, source] of this.#sources.entries()) {
      const own = await source.findByQuery(matches, options);
      found.push(Array.from(own, (number) => this.#begins[part]! + number));
    }
    return Float64Array.from(found.flat());
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }
}

/**
 * A source without some examples, whose numbers ascend. They stay in the pool, and their positives are no negatives of their
 * queries.
 */
export function withoutExamples(source: PairSource, numbers: Float64Array): PairSource {
  checkSource(source);
  if (!(numbers instanceof Float64Array)) {
    throw new FlesError('ERR_ARGUMENT_TYPE', `numbers is ${show(numbers)}, expected a Float64Array`);
  }
  if (numbers.length === 0) return source;
  // How many examples that stay come before the ith that goes.
  const kept = numbers.map((number, i) => number - i);
  const fingerprint = createHash('sha256').update(source.fingerprint).update(numbers).digest('hex');
  return {
    name: source.name,
    size: source.size - numbers.length,
    fingerprint,
    pool: source.pool,
    notes: source.notes,
    scored: source.scored,
    examples: async (wanted) => {
      const those = checkNumbers(wanted, source.size - numbers.length);
      return source.examples(those.map((number) => number + countUpTo(kept, number)));
    },
    isPositive: (query, document) => source.isPositive(query, document),
    findByQuery: async (matches, options) => {
      const found = await source.findByQuery(matches, options);
      const gone = new Set(numbers);
      return found.filter((number) => !gone.has(number)).map((number) => number - countUpTo(numbers, number));
    },
    close: () => source.close(),
  };
}

/** Where each part begins, and the end of the last one. */
function beginsOf(sizes: readonly number[]): number[] {
  const begins = [0];
  for (const size of sizes) begins.push(begins.at(-1)! + size);
  return begins;
}

/** Asks each part once for what it has, and puts the answers in the order asked. */
async function fromParts<T>(
  numbers: readonly number[],
  begins: readonly number[],
  ask: (part: number, own: number[]) => Promise<T[]>,
): Promise<T[]> {
  const places = new Map<number, number[]>();
  for (const [place, number] of numbers.entries()) {
    const part = countUpTo(begins, number) - 1;
    const those = places.get(part);
    if (those) those.push(place);
    else places.set(part, [place]);
  }
  const answers = new Array<T>(numbers.length);
  const asked = [...places].map(async ([part, those]) => {
    const own = await ask(
      part,
      those.map((place) => numbers[place]! - begins[part]!),
    );
    for (const [i, place] of those.entries()) answers[place] = own[i]!;
  });
  await Promise.all(asked);
  return answers;
}

/** How many of some ascending values are at most `limit`. */
function countUpTo(values: ArrayLike<number>, limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
