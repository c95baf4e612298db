import { setImmediate } from 'node:timers/promises';
import { abortable } from '../abortable';
import { checkChoice, checkInteger, checkIterable, checkKeys, checkObject, checkString, checkStrings } from '../check';
import { FlesError } from '../errors';
import type { Hit } from '../index/inverted-index';
import { analyze } from './analyzer';
import type { BeirDocument } from './beir';
import { addScores, type Bm25Field, Bm25FieldBuilder, countTerms, documentFrequency } from './bm25-field';
import { compareBytes } from './ranking';
import { expectedProducts } from './statistics';
import { topK } from './top-k';

/** `flat`: title and text in one field. `multifield`: a field each, whose scores are added. */
export type Bm25Fields = 'flat' | 'multifield';

export interface Bm25BuildOptions {
  /** By default `flat`. */
  fields?: Bm25Fields;
  signal?: AbortSignal;
  onProgress?(documents: number): void;
}

/** What each layout puts into its fields. */
const LAYOUTS: Record<Bm25Fields, Record<string, (document: BeirDocument) => string>> = {
  flat: { contents: ({ title, text }) => `${title} ${text}` },
  multifield: { contents: ({ text }) => text, title: ({ title }) => title },
};

/**
 * BM25 as Lucene and Anserini compute it, to the bit of the float32 score: their analyzer for English, k1 = 0.9,
 * b = 0.4, document lengths coded in a byte.
 *   Robertson et al. 1994 (Okapi at TREC-3); Kamphuis et al. 2020, doi:10.1007/978-3-030-45442-5_4, name the variant
 *
 * In memory, meant as the baseline of a comparison: 12 bytes a posting, all ids, all terms.
 */
export class Bm25Index {
  readonly fields: Bm25Fields;
  private readonly ids: readonly string[];
  /** Position of each document in the order of ids by bytes. */
  private readonly idOrder: Uint32Array;
  private readonly postings: ReadonlyMap<string, Bm25Field>;

  private constructor(fields: Bm25Fields, ids: readonly string[], postings: ReadonlyMap<string, Bm25Field>) {
    this.fields = fields;
    this.ids = ids;
    this.postings = postings;
    this.idOrder = new Uint32Array(ids.length);
    const sorted = Array.from(ids.keys()).sort((a, b) => compareBytes(ids[a]!, ids[b]!));
    for (const [position, document] of sorted.entries()) this.idOrder[document] = position;
  }

  /**
   * Indexes documents. One without any title and text is left out and counts nowhere; one with a title alone is kept.
   *
   * Throws `ERR_ID_DUPLICATE` for an id that comes twice, `ERR_ARGUMENT_TYPE` for a document whose id, title or text is no string,
   * `ERR_OPTION_VALUE` for unknown `fields`, and the reason of an aborted `signal`.
   */
  static async build(
    documents: Iterable<BeirDocument> | AsyncIterable<BeirDocument>,
    options: Bm25BuildOptions = {},
  ): Promise<Bm25Index> {
    checkKeys(options, ['fields', 'signal', 'onProgress']);
    checkIterable('documents', documents, 'documents: {id, title, text}');
    const fields = checkChoice('fields', options.fields ?? 'flat', ['flat', 'multifield']);
    const layout = Object.entries(LAYOUTS[fields]);
    const builders = new Map(layout.map(([name]) => [name, new Bm25FieldBuilder()]));
    const ids = new Set<string>();
    let seen = 0;
    for await (const document of abortable(documents, options.signal)) {
      checkDocument(document, seen);
      if (ids.has(document.id)) {
        throw new FlesError(
          'ERR_ID_DUPLICATE',
          `document id ${JSON.stringify(document.id)} comes twice; ids are unique`,
        );
      }
      if (`${document.title}${document.text}`.trim() !== '') {
        ids.add(document.id);
        for (const [name, textOf] of layout) builders.get(name)!.add(analyze(textOf(document)));
      }
      if (++seen % 256 === 0) {
        options.onProgress?.(seen);
        await setImmediate();
      }
    }
    options.onProgress?.(seen);
    return new Bm25Index(fields, [...ids], new Map([...builders].map(([name, builder]) => [name, builder.build()])));
  }

  /** Number of indexed documents; for each field the documents with a term in it, its terms and its distinct terms. */
  get statistics(): {
    documents: number;
    fields: Record<string, { documents: number; terms: number; distinct: number }>;
  } {
    const fields = [...this.postings].map(
      ([name, { documents, terms, lexicon }]) => [name, { documents, terms, distinct: lexicon.size }] as const,
    );
    return { documents: this.ids.length, fields: Object.fromEntries(fields) };
  }

  /**
   * How sparse the index and some queries are, a term of two fields being two terms: mean number of distinct terms of a
   * document and of a query, and the expected products of a pair (see `flops`).
   */
  sparsity(queries: readonly string[]): { nnz: { documents: number; queries: number }; flops: number } {
    const counts = new Map<string, number>();
    for (const query of checkStrings('queries', queries)) {
      for (const term of new Set(analyze(query))) counts.set(term, (counts.get(term) ?? 0) + 1);
    }
    const fields = [...this.postings.values()];
    const inQueries = [...counts.values()];
    const mean = (sum: number, count: number) => (count === 0 ? 0 : sum / count);
    return {
      nnz: {
        documents: mean(
          fields.reduce((sum, { postings }) => sum + postings.length, 0),
          this.ids.length,
        ),
        queries: mean(fields.length * inQueries.reduce((sum, count) => sum + count, 0), queries.length),
      },
      flops: fields.reduce((sum, field) => {
        const inDocuments = [...counts.keys()].map((term) => documentFrequency(field, term));
        return sum + expectedProducts(inQueries, queries.length, inDocuments, this.ids.length);
      }, 0),
    };
  }

  /**
   * The best k documents that share a term with a query, by float32 score descending, ties by id ascending (bytes).
   * A term that the query repeats counts as often. `document` is the number among the indexed documents.
   *
   * Throws `ERR_OPTION_RANGE` unless k is an integer in 1..2^31-1.
   */
  search(query: string, k: number): Hit[] {
    checkString('the query', query);
    checkInteger('k', k, 1, 2 ** 31 - 1);
    const sums = new Float64Array(this.ids.length);
    for (const [term, count] of countTerms(analyze(query))) {
      for (const field of this.postings.values()) addScores(field, term, count, sums);
    }
    const scores = Float32Array.from(sums);
    const compare = (a: number, b: number) => scores[b]! - scores[a]! || this.idOrder[a]! - this.idOrder[b]!;
    return topK(positions(scores), k, compare).map((document) => {
      return { id: this.ids[document]!, document, score: scores[document]! };
    });
  }
}

function checkDocument(document: BeirDocument, number: number): void {
  const name = `document ${number}`;
  checkObject(name, document, '{id, title, text}');
  for (const field of ['id', 'title', 'text'] as const) checkString(`${field} of ${name}`, document[field]);
}

/** Where scores are above 0. */
function* positions(scores: Float32Array): Generator<number> {
  for (let i = 0; i < scores.length; i++) if (scores[i]! > 0) yield i;
}
