// What bench/device.bench.mjs runs: every op of the table, one batch of the encoder and one training step, at the sizes of
// BERT-base, and at sizes that an emulated device does in seconds.
import { BERT_BASE } from './cuda-steps.mjs';
import * as op from './op-cases.mjs';

export const SIZES = {
  /** `decoderBias`: random weights then give documents of 256 tokens the 933 terms that a step of `v12b` is predicted for. */
  'bert-base': {
    model: BERT_BASE,
    decoderBias: -1.9,
    encode: { texts: 32, tokens: 128, keptTerms: 200 },
    training: { queries: 32, documents: 8, queryTokens: 64, documentTokens: 256 },
    activeTerms: 933,
    values: 2 ** 24,
  },
  tiny: {
    model: { layers: 2, C: 128, I: 256, H: 2, V: 500, P: 64 },
    decoderBias: -0.5,
    encode: { texts: 2, tokens: 16, keptTerms: 20 },
    training: { queries: 2, documents: 2, queryTokens: 8, documentTokens: 16 },
    activeTerms: 9,
    values: 2 ** 10,
  },
};

/** Products of each type; gradients have no int8. */
const TYPES = ['float32', 'bfloat16', 'int8'];

/** Every op, for the texts of the batch to encode; losses for the texts of the training step. */
export function opCases({ model, encode, training, activeTerms, values }) {
  const { C, I, H, V, P } = model;
  const [B, L] = [encode.texts, encode.tokens];
  const T = B * L;
  const [Q, D] = [training.queries, training.queries * training.documents];
  const TRAINED = TYPES.slice(0, 2);
  return [
    op.embedding(B, L, C, V, P),
    ...op.layernorm(T, C),
    ...TYPES.flatMap((type) => [
      op.linear(T, 3 * C, C, { type }),
      op.linear(T, I, C, { activation: 'gelu', type }),
      op.linear(T, C, I, { residual: true, type }),
    ]),
    ...TRAINED.flatMap((type) => [
      op.linearBackward(T, 3 * C, C, { type }),
      op.linearBackward(T, I, C, { type }),
      op.linearBackward(T, C, I, { type }),
    ]),
    ...[0, 0.1].map((dropout) => op.attention(B, L, { dropout, C, H })),
    op.attention(B, L, { backward: true, dropout: 0.1, C, H }),
    ...TYPES.map((type) => op.sparseHead(B, L, C, V, { type })),
    ...TRAINED.map((type) => op.sparseHead(B, L, C, V, { type, argmax: true })),
    op.sparseHeadBackward(B, L, C, V, activeTerms),
    op.topk(B, V, encode.keptTerms),
    ...op.densePool(B, L, C),
    op.dropout(B, L, C, 0.1),
    ...op.activation(T, I, 'gelu'),
    op.embeddingBackward(B, L, C, V, P),
    ...op.sparseWeights(D, V),
    ...op.scores(Q, D, V),
    op.flops(D, V),
    op.antiCollapse(D, V, 16),
    op.vocabularyDistance(D, V, encode.keptTerms),
    ...op.gatherRows(T, C),
    op.crossEntropy(Math.ceil(0.15 * T), V),
    op.squareSum(values),
    op.adamw(values),
  ];
}
