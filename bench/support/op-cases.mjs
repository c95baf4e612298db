// Cases of ops for benchmarks: {name, op, flop or bytes, args(), sizes}. `args` makes the arguments that `native.prepareOp`
// takes; `flop` counts a multiply-add as two, `bytes` is what an op that memory bounds must read and write; `sizes` is what
// cuda-kernels.mjs takes to predict the launches.

/** Values in -0.5..0.5, seeded by their number. */
export function floats(length) {
  const values = new Float32Array(length);
  let state = length;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 32 - 0.5;
  }
  return values;
}
const zeros = (length) => new Float32Array(length);
function whole(length, value = () => 0) {
  const values = new Int32Array(length);
  for (let i = 0; i < length; i++) values[i] = value(i);
  return values;
}

/** Texts of one length: what ops are told of them, and what the model is. */
const textsOf = (B, L) => ({ B, T: B * L, offsets: whole(B + 1, (b) => b * L) });
const idsOf = (B) => whole(B, (b) => b);
const lengthsOf = (B, L) => ({ B, T: B * L, lengths: Array(B).fill(L) });

const suffix = (...words) => words.filter((word) => word && word !== 'float32').map((word) => ` ${word}`);
const title = (name, sizes, ...words) =>
  [name, ...Object.entries(sizes).map(([key, value]) => ` ${key}=${value}`), ...suffix(...words)].join('');

/** A linear layer, forward; `type`: of its product. */
export function linear(T, N, K, { activation = 'none', residual = false, type = 'float32' } = {}) {
  const words = [activation === 'none' ? '' : activation, residual ? 'residual' : '', type];
  return {
    name: title('linear/forward', { T, N, K }, ...words),
    op: 'linear',
    flop: 2 * T * N * K,
    sizes: { T, N, K, type, residual, activation: activation !== 'none' },
    args: () => ({
      ...{ T, N, K, activation, dtype: type, in: floats(T * K), weight: floats(N * K), bias: floats(N) },
      ...(residual && { residual: floats(T * N) }),
      out: zeros(T * N),
    }),
  };
}

/** The gradients of a linear layer, or `only` that of its input, d_in, or of its weight, d_weight. */
export function linearBackward(T, N, K, { only, type = 'float32' } = {}) {
  const wants = (gradient) => only === undefined || only === gradient;
  return {
    name: title(`linear/backward${suffix(only)}`, { T, N, K }, type),
    op: 'linear_backward',
    flop: (only === undefined ? 4 : 2) * T * N * K,
    sizes: { T, N, K, type },
    args: () => ({
      ...{ T, N, K, dtype: type, d_out: floats(T * N) },
      ...(wants('d_in') && { weight: floats(N * K), d_in: zeros(T * K) }),
      ...(wants('d_weight') && { in: floats(T * K), d_weight: zeros(N * K) }),
      ...(only === undefined && { d_bias: zeros(N) }),
    }),
  };
}

/** Attention, forward or backward, with as much dropout; its two or five products count. `type`: what they may be. */
export function attention(B, L, { backward = false, dropout = 0, C = 768, H = 12, type = 'float32' } = {}) {
  const T = B * L;
  return {
    name: title(
      `attention/${backward ? 'backward' : 'forward'}`,
      { B, L, C, H, ...(dropout > 0 && { dropout }) },
      type,
    ),
    op: backward ? 'attention_backward' : 'attention',
    flop: (backward ? 10 : 4) * T * L * C,
    sizes: { ...lengthsOf(B, L), C, H, dropout: dropout > 0 },
    args: () => ({
      ...{ ...textsOf(B, L), C, H, qkv: floats(3 * T * C), out: floats(T * C), dropout, seed: 1, text_ids: idsOf(B) },
      ...(!backward && { dtype: type }),
      // Of scores that are all 0; the largest here are nearly that.
      ...(backward && { d_out: floats(T * C), log_sums: zeros(T * H).fill(Math.log(L)), d_qkv: zeros(3 * T * C) }),
    }),
  };
}

export function sparseHead(B, L, C, V = 30522, { type = 'float32', argmax = false } = {}) {
  return {
    name: title('sparse_head/forward', { B, L, C, V }, argmax ? 'argmax' : '', type),
    op: 'sparse_head',
    flop: 2 * B * L * C * V,
    sizes: { ...lengthsOf(B, L), C, V, type, argmax },
    args: () => ({
      ...{ ...textsOf(B, L), C, V, pooling: 'max', cut: 0, least: 0, least_from: 0, dtype: type },
      ...{ in: floats(B * L * C), weight: floats(V * C), bias: floats(V), pooled: zeros(B * V) },
      ...(argmax && { argmax: whole(B * V) }),
    }),
  };
}

/** An op that memory bounds. */
const moving = (name, op, bytes, sizes, args) => ({ name, op, bytes, sizes, args });

/** `activeTerms` of each text have a gradient. */
export function sparseHeadBackward(B, L, C, V, activeTerms) {
  const apart = Math.floor(V / activeTerms);
  const isActive = (i) => (i % V) % apart === 0 && (i % V) / apart < activeTerms;
  const bytes = 4 * (2 * C * V + 2 * B * V + 2 * B * L * C);
  const sizes = { ...lengthsOf(B, L), C, V, activeTerms };
  return moving(
    title('sparse_head/backward', { B, L, C, V, terms: activeTerms }),
    'sparse_head_backward',
    bytes,
    sizes,
    () => ({
      ...{ ...textsOf(B, L), C, V, pooling: 'max', in: floats(B * L * C), weight: floats(V * C), bias: floats(V) },
      d_pooled: floats(B * V).map((value, i) => (isActive(i) ? value : 0)),
      argmax: whole(B * V, (i) => Math.floor(i / V) * L + (i % L)),
      ...{ d_in: zeros(B * L * C), d_weight: zeros(V * C), d_bias: zeros(V) },
    }),
  );
}

export function layernorm(T, C) {
  const name = (direction) => title(`layernorm/${direction}`, { T, C });
  const args = () => ({ T, C, eps: 1e-12, in: floats(T * C), gamma: floats(C) });
  return [
    moving(name('forward'), 'layernorm', 8 * T * C, { T, C }, () => ({
      ...args(),
      beta: floats(C),
      out: zeros(T * C),
    })),
    moving(name('backward'), 'layernorm_backward', 12 * T * C, { T, C }, () => ({
      ...{ ...args(), d_out: floats(T * C), d_in: zeros(T * C), d_gamma: zeros(C), d_beta: zeros(C) },
    })),
  ];
}

export function activation(T, N, activation) {
  const name = (direction) => title(`activation/${direction}`, { T, N }, activation);
  const args = () => ({ T, N, activation, in: floats(T * N) });
  return [
    moving(name('forward'), 'activation', 8 * T * N, { T, N }, () => ({ ...args(), out: zeros(T * N) })),
    moving(name('backward'), 'activation_backward', 12 * T * N, { T, N }, () => ({
      ...{ ...args(), d_out: floats(T * N), d_in: zeros(T * N) },
    })),
  ];
}

export function dropout(B, L, C, p) {
  const T = B * L;
  const sizes = { T, C, residual: true, draws: p > 0 };
  return moving(title('dropout/forward', { B, L, C, p }), 'dropout', 12 * T * C, sizes, () => ({
    ...{ ...textsOf(B, L), C, dropout: p, seed: 1, text_ids: idsOf(B) },
    ...{ in: floats(T * C), residual: floats(T * C), out: zeros(T * C) },
  }));
}

/** Every fourth token is one of 8 words, as in text; each row is read for its word and for its position. */
const tokensOf = (T, V) => whole(T, (t) => (t % 4 === 0 ? 1996 + (t % 8) : t * 7919) % V);

export function embedding(B, L, C, V = 30522, P = 512) {
  const T = B * L;
  const sizes = { T, C, keepsSum: false };
  return moving(title('embedding/forward', { B, L, C, V }), 'embedding', 8 * T * C, sizes, () => ({
    ...{ ...textsOf(B, L), C, V, P, eps: 1e-12, tokens: tokensOf(T, V), word: floats(V * C) },
    ...{ position: floats(P * C), type: floats(C), gamma: floats(C), beta: floats(C), out: zeros(T * C) },
  }));
}

export function embeddingBackward(B, L, C, V = 30522, P = 512) {
  const T = B * L;
  const sizes = { ...lengthsOf(B, L), C };
  return moving(title('embedding/backward', { B, L, C, V }), 'embedding_backward', 8 * T * C, sizes, () => ({
    ...{ ...textsOf(B, L), C, V, P, d_sum: floats(T * C), tokens: tokensOf(T, V) },
    ...{ d_word: zeros(V * C), d_position: zeros(P * C), d_type: zeros(C) },
  }));
}

export function adamw(count) {
  return moving(title('adamw/update', { count }), 'adamw', 28 * count, { count }, () => ({
    ...{ count, rate: 2e-5, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.01 },
    ...{ scale: 1, correction1: 0.1, correction2: 0.001, gradient: floats(count) },
    ...{ parameter: floats(count), first: zeros(count), second: zeros(count) },
  }));
}

export const squareSum = (count) =>
  moving(title('square_sum/forward', { count }), 'square_sum', 4 * count, { count }, () => ({
    ...{ count, in: floats(count), out: zeros(1) },
  }));

/** What is above a threshold, about `keptTerms` of each row. */
export function topk(B, V, keptTerms) {
  const sizes = { B, V, k: V, keptTerms };
  return moving(title('topk_threshold/forward', { B, V, keptTerms }), 'topk_threshold', 4 * B * V, sizes, () => ({
    ...{ B, V, k: V, threshold: 0.5 - keptTerms / V, activation: 'none', pooled: floats(B * V) },
    ...{ offsets: whole(B + 1), terms: whole(B * V), weights: zeros(B * V) },
  }));
}

export function densePool(B, L, C) {
  const sizes = { B, T: B * L, C };
  const name = (direction) => title(`dense_pool/${direction}`, { B, L, C });
  const args = () => ({ ...textsOf(B, L), C, pooling: 'mean' });
  return [
    moving(name('forward'), 'dense_pool', 4 * B * L * C, sizes, () => ({
      ...{ ...args(), normalize: 1, in: floats(B * L * C), out: zeros(B * C) },
    })),
    moving(name('backward'), 'dense_pool_backward', 4 * B * L * C, sizes, () => ({
      ...{ ...args(), d_out: floats(B * C), d_in: zeros(B * L * C) },
    })),
  ];
}

export function sparseWeights(B, V) {
  const name = (direction) => title(`sparse_weights/${direction}`, { B, V });
  const args = () => ({ B, V, activation: 'log1p', pooled: floats(B * V) });
  return [
    moving(name('forward'), 'sparse_weights', 8 * B * V, { B, V }, () => ({
      ...{ ...args(), weights: zeros(B * V), counts: whole(B), frequencies: whole(V) },
    })),
    moving(name('backward'), 'sparse_weights_backward', 16 * B * V, { B, V }, () => ({
      ...{ ...args(), d_weights: floats(B * V), d_pooled: zeros(B * V), squares: zeros(1) },
    })),
  ];
}

/** Products of all queries and documents over the vocabulary, always exact. */
export function scores(Q, D, V) {
  const name = (direction) => title(`scores/${direction}`, { Q, D, V });
  const args = () => ({ Q, D, V, queries: floats(Q * V), documents: floats(D * V) });
  return [
    moving(name('forward'), 'scores', 4 * (Q + D) * V, { Q, D, V }, () => ({
      ...{ ...args(), scores: zeros(Q * D), query_squares: zeros(Q), document_squares: zeros(D) },
    })),
    moving(name('backward'), 'scores_backward', 8 * (Q + D) * V, { Q, D, V }, () => ({
      ...{ ...args(), d_scores: floats(Q * D), d_query_squares: floats(Q), d_document_squares: floats(D) },
      ...{ d_queries: zeros(Q * V), d_documents: zeros(D * V) },
    })),
  ];
}

export const flops = (B, V) =>
  moving(title('flops/both', { B, V }), 'flops', 8 * B * V, { B, V }, () => ({
    ...{ B, V, scale: 1, norm: 'L2', weights: floats(B * V), value: zeros(1), d_weights: zeros(B * V) },
  }));

export const antiCollapse = (B, V, k) =>
  moving(title('anti_collapse/both', { B, V, k }), 'anti_collapse', 4 * B * V, { B, V }, () => ({
    ...{ B, V, k, margin: 0.5, scale: 1, pooled: floats(B * V), value: zeros(1), d_pooled: zeros(B * V) },
    squares: zeros(1),
  }));

/** The teacher has `terms` terms in each row. */
export const vocabularyDistance = (B, V, terms) =>
  moving(title('vocabulary_distance/both', { B, V, terms }), 'vocabulary_distance', 8 * B * V, { B, V }, () => ({
    ...{ B, V, N: B * terms, scale: 1, kind: 'squared', weights: floats(B * V), offsets: textsOf(B, terms).offsets },
    terms: whole(B * terms, (i) => (i % terms) * Math.floor(V / terms)),
    ...{ values: floats(B * terms), value: zeros(1), d_weights: zeros(B * V) },
  }));

/** Every other of R rows. */
export function gatherRows(R, C) {
  const N = Math.floor(R / 2);
  const name = (direction) => title(`gather_rows/${direction}`, { R, C, N });
  const args = () => ({ R, C, N, rows: whole(N, (i) => 2 * i) });
  return [
    moving(name('forward'), 'gather_rows', 8 * N * C, { N, C }, () => ({
      ...{ ...args(), in: floats(R * C), out: zeros(N * C) },
    })),
    moving(name('backward'), 'gather_rows_backward', 8 * N * C, { N, C }, () => ({
      ...{ ...args(), d_out: floats(N * C), d_in: zeros(R * C) },
    })),
  ];
}

export const crossEntropy = (M, V) =>
  moving(title('cross_entropy/both', { M, V }), 'cross_entropy', 8 * M * V, { M, V }, () => ({
    ...{ M, V, scale: 1, logits: floats(M * V), labels: whole(M, (i) => (i * 7919) % V) },
    ...{ losses: zeros(M), correct: whole(M), d_logits: zeros(M * V) },
  }));
