import { checkArray, checkObject, checkString, show } from '../check';
import { FlesError } from '../errors';

/** Judgements: relevance by document id, by query id. */
export type Qrels = Map<string, Map<string, number>>;

/** A retrieved document of a run. */
export interface ScoredDocument {
  /** Document id. */
  document: string;
  score: number;
}

/** Retrieved documents by query id, in any order: evaluation ranks them by score. */
export type Run = Map<string, ScoredDocument[]>;

/**
 * The retrieved documents as trec_eval 9.0.8 ranks them: by score in float32 descending, ties by document id
 * descending (strcmp on UTF-8). The order and the ranks of a run file do not matter.
 */
export function rank(documents: readonly ScoredDocument[]): ScoredDocument[] {
  return documents
    .map(({ document, score }) => ({ document, score: Math.fround(score) }))
    .sort((a, b) => b.score - a.score || compareBytes(b.document, a.document));
}

/** The documents of a query of a run. Throws `ERR_ARGUMENT_TYPE` for what is none. */
export function checkDocuments(query: string, documents: readonly ScoredDocument[]): readonly ScoredDocument[] {
  for (const found of checkArray(`run of query ${query}`, documents, '{document, score}')) {
    const { document, score } = checkObject(`a result of query ${query}`, found, '{document, score}');
    checkString(`a document of query ${query}`, document);
    if (typeof score === 'number') continue;
    throw new FlesError('ERR_ARGUMENT_TYPE', `a score of query ${query} is ${show(score)}, expected a number`);
  }
  return documents;
}

/**
 * Orders two strings as strcmp orders their UTF-8 bytes, which is the order of code points: JavaScript's `<` compares
 * UTF-16 units and puts a surrogate pair before U+E000..U+FFFF.
 */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointOrder(x) - codePointOrder(y);
  }
  return a.length - b.length;
}

/** Moves the surrogates behind all other units. */
function codePointOrder(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;
}
