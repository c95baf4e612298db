/** Lucene's parameters as Anserini sets them, in float32 like every figure of a score. */
const K1 = Math.fround(0.9);
const B = Math.fround(0.4);

/** Postings of one field, with the statistics of that field alone. */
export interface Bm25Field {
  /** Documents with at least one term in the field. */
  documents: number;
  /** All terms, repeated ones counted each time. */
  terms: number;
  /** Term numbers by term. */
  lexicon: Map<string, number>;
  /** (terms + 1) where the postings of a term begin. */
  offsets: Uint32Array;
  /** Document number of each posting, ascending within a term. */
  postings: Uint32Array;
  /** How often the document has the term, for each posting. */
  frequencies: Uint32Array;
  /** 1 / (k1 (1 - b + b length / average length)) of each document, float32. */
  inverseNorms: Float32Array;
}

/** Collects the terms of documents, which are added in the order of their numbers. */
export class Bm25FieldBuilder {
  private readonly lexicon = new Map<string, number>();
  private readonly lengths = new IntegerList();
  // One entry a posting, in the order of documents; `build` turns them to the order of terms.
  private readonly termNumbers = new IntegerList();
  private readonly postings = new IntegerList();
  private readonly frequencies = new IntegerList();
  private documents = 0;
  private terms = 0;

  add(terms: readonly string[]): void {
    const document = this.lengths.length;
    this.lengths.push(terms.length);
    this.documents += Number(terms.length > 0);
    this.terms += terms.length;
    for (const [term, count] of countTerms(terms)) {
      let number = this.lexicon.get(term);
      if (number === undefined) {
        number = this.lexicon.size;
        this.lexicon.set(term, number);
      }
      this.termNumbers.push(number);
      this.postings.push(document);
      this.frequencies.push(count);
    }
  }

  build(): Bm25Field {
    const count = this.termNumbers.length;
    const offsets = new Uint32Array(this.lexicon.size + 1);
    for (let i = 0; i < count; i++) offsets[this.termNumbers.at(i) + 1]!++;
    for (let i = 0; i < this.lexicon.size; i++) offsets[i + 1]! += offsets[i]!;
    const cursors = offsets.slice();
    const postings = new Uint32Array(count);
    const frequencies = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const at = cursors[this.termNumbers.at(i)]!++;
      postings[at] = this.postings.at(i);
      frequencies[at] = this.frequencies.at(i);
    }
    return {
      documents: this.documents,
      terms: this.terms,
      lexicon: this.lexicon,
      offsets,
      postings,
      frequencies,
      inverseNorms: this.inverseNorms(),
    };
  }

  private inverseNorms(): Float32Array {
    const average = Math.fround(this.terms / this.documents);
    const norms = new Float32Array(this.lengths.length);
    for (let i = 0; i < norms.length; i++) {
      const relative = Math.fround(Math.fround(B * codedLength(this.lengths.at(i))) / average);
      norms[i] = 1 / Math.fround(K1 * Math.fround(Math.fround(1 - B) + relative));
    }
    return norms;
  }
}

/**
 * Adds the BM25 scores of one term to the sums of its documents (float64, as Lucene sums them).
 *
 * The float32 steps are those of Lucene's BM25Similarity: idf = ln(1 + (N - n + 0.5) / (n + 0.5)), weight = boost idf,
 * score = weight - weight / (1 + frequency inverseNorm), which is weight f / (f + k1 (1 - b + b length / average)).
 */
export function addScores(field: Bm25Field, term: string, boost: number, sums: Float64Array): void {
  const number = field.lexicon.get(term);
  if (number === undefined) return;
  const begin = field.offsets[number]!;
  const n = documentFrequency(field, term);
  const idf = Math.fround(Math.log(1 + (field.documents - n + 0.5) / (n + 0.5)));
  const weight = Math.fround(boost * idf);
  for (let i = begin; i < begin + n; i++) {
    const document = field.postings[i]!;
    const saturation = Math.fround(1 + Math.fround(field.frequencies[i]! * field.inverseNorms[document]!));
    sums[document]! += Math.fround(weight - Math.fround(weight / saturation));
  }
}

/** Number of documents that have a term in the field. */
export function documentFrequency({ lexicon, offsets }: Bm25Field, term: string): number {
  const number = lexicon.get(term);
  return number === undefined ? 0 : offsets[number + 1]! - offsets[number]!;
}

/** How often each distinct term comes, in the order of first appearance. */
export function countTerms(terms: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

/** A document length as Lucene's byte (SmallFloat.intToByte4) keeps it: exact below 40, then four significant bits. */
export function codedLength(length: number): number {
  const free = 24;
  if (length < free) return length;
  const lowBits = Math.max(0, 28 - Math.clz32(length - free));
  return free + (((length - free) >>> lowBits) << lowBits);
}

/** Unsigned 32-bit integers in an array that grows. */
class IntegerList {
  length = 0;
  private values = new Uint32Array(1024);

  push(value: number): void {
    if (this.length === this.values.length) {
      const values = new Uint32Array(2 * this.length);
      values.set(this.values);
      this.values = values;
    }
    this.values[this.length++] = value;
  }

  at(i: number): number {
    return this.values[i]!;
  }
}
