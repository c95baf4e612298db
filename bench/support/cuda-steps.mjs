// Which ops a training step and a batch of the encoder run, in their order: what cpp/train/network.cpp, trainer.cpp,
// objective.cpp, cpp/model/bert_forward.cpp and encoder.cpp call, once. Everything that is counted follows from this.

/** bert-base-uncased. */
export const BERT_BASE = { layers: 12, C: 768, I: 3072, H: 12, V: 30_522, P: 512 };

export const parametersOf = ({ layers, C, I, V, P }) => {
  const layer = 4 * (C * C + C) + C * I + I + I * C + C + 4 * C;
  return (V + P + 2) * C + 2 * C + layers * layer + C * C + 3 * C + V;
};

export const batchOf = (lengths) => ({ lengths, B: lengths.length, T: lengths.reduce((sum, one) => sum + one, 0) });
/** Of attention's list of tiles of 64 rows, which all layers share. */
const attentionTilesBytes = (lengths) => lengths.reduce((bytes, length) => bytes + 8 * Math.ceil(length / 64), 0);
export const times = (count, length) => Array(count).fill(length);

/** Texts in their order, cut where a micro-batch would hold more tokens. */
function microBatches(lengths, most) {
  const micros = [[]];
  let tokens = 0;
  for (const length of lengths) {
    if (tokens > 0 && tokens + length > most) {
      micros.push([]);
      tokens = 0;
    }
    micros.at(-1).push(length);
    tokens += length;
  }
  return micros.map(batchOf);
}

/** Tokens of a micro-batch where the configuration leaves them open: half of 80 GB (lib/train/trainer.ts). */
export function automaticTokens({ layers, C, I }, activationBytes = 40e9, most = 131_072) {
  const tokenBytes = 4 * (layers * C + layers * (5 * C + I) + 5 * C + Math.max(I, 3 * C));
  return Math.min(most, Math.max(256, Math.floor(activationBytes / tokenBytes)));
}

/** The network's passes over one micro-batch after another, written to `run(op, arguments)`. */
function network(model, type, dropout, run) {
  const { layers, C, I, H, V } = model;
  const held = new Map(); // what each packed matrix holds, one a shape
  const linear = ({ T }, name, N, K) => {
    if (held.get(`${N},${K}`) !== name) run('pack_rows', { N, K, type });
    held.set(`${N},${K}`, name);
    run('linear', { T, N, K, type });
  };
  const drop = ({ T }, residual, draws = true) => run('dropout', { T, C, residual, draws });
  const norm = ({ T }) => run('layernorm', { T, C });
  const layerInput = (batch, layer) => {
    norm(batch);
    if (layer === 0 && dropout) drop(batch, false);
  };
  const linearSum = (batch, name, K) => {
    linear(batch, name, C, K);
    if (dropout) drop(batch, true);
  };
  const backward = ({ T }, N, K, of) => run('linear_backward', { T, N, K, type, of });

  const forward = (batch) => {
    run('upload', { bytes: 4 * batch.T });
    run('upload', { bytes: 4 * batch.B });
    run('upload', { bytes: attentionTilesBytes(batch.lengths) });
    run('embedding', { ...batch, C, keepsSum: true });
    if (dropout) drop(batch, false);
    for (let n = 0; n < layers; ++n) {
      linear(batch, `${n}.qkv`, 3 * C, C);
      run('attention', { ...batch, C, H, dropout });
      linearSum(batch, `${n}.out`, C);
      norm(batch);
      linear(batch, `${n}.in`, I, C);
      run('activation', { T: batch.T, N: I });
      linearSum(batch, `${n}.wide`, I);
      norm(batch);
    }
    linear(batch, 'transform', C, C);
    run('activation', { T: batch.T, N: C });
    norm(batch);
  };
  const head = (batch) => {
    run('square_sum', { count: batch.T * C });
    run('download', {});
    if (held.get('head') !== 'head') run('pack_rows', { N: V, K: C, type });
    held.set('head', 'head');
    run('sparse_head', { ...batch, C, V, type, argmax: true });
  };
  const layerBackward = (batch, layer) => {
    const { T } = batch;
    run('layernorm_backward', { T, C });
    run('activation', { T, N: I });
    if (dropout) drop(batch, false);
    backward(batch, C, I, 'weight');
    backward(batch, C, I, 'input');
    run('activation_backward', { T, N: I });
    norm(batch);
    backward(batch, I, C);
    drop(batch, true, false);
    run('layernorm_backward', { T, C });
    if (dropout) drop(batch, false);
    backward(batch, C, C);
    run('attention_backward', { ...batch, C, H, dropout });
    layerInput(batch, layer);
    backward(batch, 3 * C, C);
    drop(batch, true, false);
  };
  const backwards = (batch, activeTerms) => {
    const { T } = batch;
    run('sparse_head_backward', { ...batch, C, V, activeTerms });
    run('activation', { T, N: C });
    run('layernorm_backward', { T, C });
    run('activation_backward', { T, N: C });
    layerInput(batch, layers);
    backward(batch, C, C);
    for (let n = layers - 1; n >= 0; --n) layerBackward(batch, n);
    if (dropout) drop(batch, false);
    run('layernorm_backward', { T, C });
    run('embedding_backward', { ...batch, C });
  };
  return { forward, head, backwards };
}

/** The losses of v12b: InfoNCE over all documents, FLOPS of documents and queries, anti-collapse. */
function objective({ V }, Q, D, run) {
  const scalar = () => run('download', {});
  const flow = (B) => {
    run('sparse_weights_backward', { B, V });
    scalar();
  };
  run('clear', { bytes: 4 * (Q + D) * V });
  for (const B of [D, Q]) {
    run('sparse_weights', { B, V });
    run('download', {});
    run('download', {});
  }
  run('scores', { Q, D, V });
  for (let i = 0; i < 3; ++i) run('download', {});
  for (const bytes of [4 * Q * D, 4 * Q, 4 * D]) run('upload', { bytes });
  run('scores_backward', { Q, D, V });
  flow(Q);
  flow(D);
  for (const B of [D, Q]) {
    run('flops', { B, V });
    scalar();
    flow(B);
  }
  run('anti_collapse', { B: D, V });
  scalar();
  scalar();
}

/**
 * One step: [{phase, op, ...arguments}].
 *   queries, documents   lengths of the texts         type          of products, 'float32' or 'bfloat16'
 *   activeTerms          terms of a text that have a gradient       microTokens   tokens of a micro-batch
 */
export function trainingStep({
  model = BERT_BASE,
  queries,
  documents,
  type,
  activeTerms,
  dropout = true,
  microTokens,
}) {
  const ops = [];
  let phase = '';
  const run = (op, values) => ops.push({ phase, op, ...values });
  const { forward, head, backwards } = network(model, type, dropout, run);
  const micros = microBatches([...queries, ...documents], microTokens ?? automaticTokens(model));
  for (const micro of micros) {
    phase = 'forward';
    forward(micro);
    phase = 'head';
    head(micro);
  }
  phase = 'losses';
  objective(model, queries.length, documents.length, run);
  phase = 'update';
  run('clear', { bytes: 4 * parametersOf(model) });
  for (const [i, micro] of [...micros].reverse().entries()) {
    phase = 'forward again';
    if (i > 0) forward(micro);
    phase = 'backward';
    backwards(micro, activeTerms);
  }
  phase = 'update';
  run('square_sum', { count: parametersOf(model) });
  run('download', {});
  run('adamw', { count: parametersOf(model) });
  return { ops, micros: micros.length, tokens: batchOf([...queries, ...documents]).T };
}

/** One batch of the encoder, no top-k. */
export function encodeBatch({ model = BERT_BASE, lengths, type, keptTerms }) {
  const { layers, C, I, H, V } = model;
  const batch = batchOf(lengths);
  const { T, B } = batch;
  const ops = [];
  const run = (op, values) => ops.push({ phase: 'encode', op, ...values });
  run('upload', { bytes: 4 * T });
  run('upload', { bytes: attentionTilesBytes(lengths) });
  run('embedding', { ...batch, C });
  for (let n = 0; n < layers; ++n) {
    run('linear', { T, N: 3 * C, K: C, type });
    run('attention', { ...batch, C, H, dropout: false });
    run('linear', { T, N: C, K: C, type, residual: true });
    run('layernorm', { T, C });
    run('linear', { T, N: I, K: C, type, activation: true });
    run('linear', { T, N: C, K: I, type, residual: true });
    run('layernorm', { T, C });
  }
  run('linear', { T, N: C, K: C, type, activation: true });
  run('layernorm', { T, C });
  for (let i = 0; i < 2; ++i) run('square_sum', { count: T * C }); // before the head and after
  run('sparse_head', { ...batch, C, V, type, argmax: false });
  run('topk_threshold', { B, V, k: V, keptTerms });
  for (let i = 0; i < 3; ++i) run('download', {}); // offsets, terms and weights of the rows
  return { ops, tokens: T };
}
