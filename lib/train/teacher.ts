import { FLES1Encoder } from '../encode/encoder';
import { FlesError } from '../errors';
import type { NativeTrainingBatch } from '../native';
import type { SparseMatrix } from '../sparse-matrix';
import type { TrainConfig } from './config';

/** The part of a batch that a teacher gives. */
type Taught = Pick<NativeTrainingBatch, 'teacherScores' | 'teacherQueries' | 'teacherDocuments'>;

/** A frozen model that scores the documents of a step, and whose sparse vectors may be learnt as well. */
export class Teacher {
  private constructor(
    private readonly encoder: FLES1Encoder,
    private readonly threshold: number,
    /** Whether its vectors are to be learnt, not their scores alone. */
    private readonly needsRows: boolean,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * Undefined where the configuration names no teacher.
   *
   * @param device where it computes, as `network.device`
   * @throws FlesError `ERR_TEACHER_VOCABULARY` when sparse vectors are to be learnt from a model with other terms; what loading
   *   a model throws
   */
  static async load(
    distillation: TrainConfig['loss']['distillation'],
    vocabulary: readonly string[],
    { device, signal }: { device: TrainConfig['network']['device']; signal?: AbortSignal },
  ): Promise<Teacher | undefined> {
    const { teacher: name, teacherThreshold: threshold, vocabulary: vocabularyWeight, ranking } = distillation;
    if (name === null) return undefined;
    const needsRows = vocabularyWeight > 0 || ranking > 0;
    const encoder = await FLES1Encoder.fromPretrained(name, { device, signal, ...(needsRows && { mode: 'sparse' }) });
    const other = encoder.vocabulary.findIndex((term, id) => term !== vocabulary[id]);
    if (needsRows && (other >= 0 || encoder.vocabulary.length !== vocabulary.length)) {
      encoder.dispose();
      const difference =
        other >= 0
          ? `term ${other} is ${JSON.stringify(encoder.vocabulary[other])}, expected ${JSON.stringify(vocabulary[other])}`
          : `it has ${encoder.vocabulary.length} terms, expected ${vocabulary.length}`;
      throw new FlesError(
        'ERR_TEACHER_VOCABULARY',
        `the teacher ${name} has another vocabulary than the model: ${difference}; ` +
          'learn from its scores alone (loss.distillation.kl, with ranking=0 and vocabulary=0)',
      );
    }
    return new Teacher(encoder, threshold, needsRows, signal);
  }

  /** Scores (Q, D) of all documents for each query, and the vectors where they are to be learnt; until the signal of `load` aborts. */
  async judge(texts: { queries: readonly string[]; documents: readonly string[] }): Promise<Taught> {
    const { threshold, signal } = this;
    if (this.encoder.mode === 'dense') {
      const queries = await this.encoder.encodeDense(texts.queries, { kind: 'query', signal });
      const documents = await this.encoder.encodeDense(texts.documents, { kind: 'document', signal });
      return {
        teacherScores: scores(queries.rows, documents.rows, (q, d) => {
          const [a, b] = [queries.row(q), documents.row(d)];
          return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
        }),
      };
    }
    const queries = await this.encoder.encodeBatch(texts.queries, { kind: 'query', threshold, signal });
    const documents = await this.encoder.encodeBatch(texts.documents, { kind: 'document', threshold, signal });
    return {
      teacherScores: sparseScores(queries, documents),
      ...(this.needsRows && { teacherQueries: rowsOf(queries), teacherDocuments: rowsOf(documents) }),
    };
  }

  dispose(): void {
    this.encoder.dispose();
  }
}

function scores(queries: number, documents: number, score: (query: number, document: number) => number): Float32Array {
  return Float32Array.from({ length: queries * documents }, (_, i) => score(Math.floor(i / documents), i % documents));
}

/** Inner products of all pairs of rows, a query spread out at a time. */
function sparseScores(queries: SparseMatrix, documents: SparseMatrix): Float32Array {
  const result = new Float32Array(queries.rows * documents.rows);
  const spread = new Float32Array(queries.vocabulary.length);
  for (let q = 0; q < queries.rows; q++) {
    const query = queries.row(q);
    for (const [i, term] of query.terms.entries()) spread[term] = query.weights[i]!;
    for (let d = 0; d < documents.rows; d++) {
      const { terms, weights } = documents.row(d);
      let sum = 0;
      for (let i = 0; i < terms.length; i++) sum += spread[terms[i]!]! * weights[i]!;
      result[q * documents.rows + d] = sum;
    }
    for (const term of query.terms) spread[term] = 0;
  }
  return result;
}

function rowsOf({ offsets, terms, weights }: SparseMatrix): NonNullable<Taught['teacherQueries']> {
  return { offsets: Float64Array.from(offsets), terms: Uint32Array.from(terms), weights };
}
