// What each op launches on a CUDA device, and what each launch has to do, as cuda/*.cu has it: bytes of memory, bytes
// through the L2 cache and shared memory where they may bound it, instructions of warps, and operations.
//
// Matrices that pass from one kernel to the next are taken to come from memory. Instructions are counted in the SASS of
// sm_80 along the path that BERT-base takes; the constants below say what they are.
import { loopOf } from './cuda-budgets.mjs';
import { CACHE_CYCLES, MEMORY_CYCLES } from './roofline-model.mjs';

const FLOAT = 4;
const div = (count, size) => Math.ceil(count / size);
const sum = (values) => values.reduce((total, one) => total + one, 0);
const bytesOf = { float32: 4, bfloat16: 2, int8: 1 };
/** Products of float32 are TF32 unless FLES_TF32 is 0. */
const unitOf = { float32: 'tf32', bfloat16: 'bf16', int8: 'int8' };
const nameOf = { float32: 'Tf32', bfloat16: 'Bfloat16', int8: 'Int8' };

/** A kernel over so many values, a thread each, `instructions` a warp. */
const elementwise = (kernel, count, bytes, instructions = 20) => ({
  kernel,
  dram: bytes,
  issue: div(count, 32) * instructions,
  blocks: div(count, 256),
});
const copy = (bytes) => ({ kernel: 'copy', dram: 2 * bytes });

const product = (m, n, k, unit, { from, more = 0 }) => ({
  kernel: `cuBLAS ${unit === 'fp32' ? 'float32' : unit}`,
  cublas: true,
  dram: from * k * (m + n) + FLOAT * m * n + more,
  [unit]: 2 * m * n * k,
});

const columnSums = (T, N) => {
  const ranges = div(T, 64);
  const columns = div(N, 128);
  return [
    // A thread goes down 64 rows, four at a time.
    {
      ...elementwise('column_sums/sum_ranges', T * N, FLOAT * T * N, 6),
      blocks: columns * ranges,
      cycles: Math.min(T, 64) * (MEMORY_CYCLES / 4),
    },
    { kernel: 'column_sums/add_parts', dram: FLOAT * ranges * N, blocks: columns, cycles: ranges * (CACHE_CYCLES / 4) },
  ];
};
const orderedSum = (kernel, parts) => ({
  kernel,
  dram: 8 * parts,
  blocks: 1,
  cycles: MEMORY_CYCLES * (1 + parts / 1024),
});

const copiedRows = (kernel, N, C) => ({
  kernel,
  dram: FLOAT * N * (2 * C + 1),
  blocks: N,
  cycles: (1 + div(C, 128 * 4)) * MEMORY_CYCLES,
});

const converter = {
  float32: 'operand/convert<float>',
  bfloat16: 'operand/convert<__nv_bfloat16>',
  int8: 'operand/convert_int8',
};

/** A float32 matrix as products of a type read it: nothing to do for float32. */
function converted(type, rows, K) {
  if (type === 'float32') return [];
  return [elementwise(converter[type], rows * K, rows * K * (FLOAT + bytesOf[type]), type === 'int8' ? 20 : 8)];
}

/** Scratch of that copy. */
export function convertedBytes(type, rows, K) {
  if (type === 'float32') return 0;
  const values = rows * K * bytesOf[type];
  return type === 'int8' ? Math.ceil(values / 256) * 256 + FLOAT * rows : values;
}

/**
 * Of the head's tile of 128 tokens, 128 terms and 64 bytes of the inner dimension: bytes that its 8 warps read of shared
 * memory, 4 or 16 a lane, after 16,384 were written there. Each warp goes once through the loop.
 */
const HEAD_SHARED_BYTES = { float32: 8 * 48 * 128, bfloat16: 8 * 12 * 512, int8: 8 * 12 * 512 };
/** Instructions of a tile around that loop: of all 8 warps, and of 4 for each of its tokens, where pooling is a maximum. */
const HEAD_POOLING = 8 * 220 + 4 * 128 * 30;
const HEAD_TEXTS = 512; // tokens of a group of texts

/** Tokens of the groups of whole texts. */
function headGroups(lengths) {
  const groups = [];
  for (const length of lengths) {
    if (groups.length > 0 && groups.at(-1) + length <= HEAD_TEXTS) groups[groups.length - 1] += length;
    else groups.push(length);
  }
  return groups;
}

/** Tokens of the bands of groups: where rows are converted, as many as take no more memory than the pooled values. */
function headBands({ lengths, C, V, type }) {
  const most = FLOAT * lengths.length * V;
  const bands = [];
  for (const tokens of headGroups(lengths)) {
    if (bands.length > 0 && convertedBytes(type, sum(bands.at(-1)) + tokens, C) <= most) bands.at(-1).push(tokens);
    else bands.push([tokens]);
  }
  return bands;
}

/** Of a tile of 64 own and 64 other rows in one head of 64 columns: instructions of one of its 4 warps without dropout and
 * with it, products, and bytes of shared memory; reading the second factor by rows meets every bank twice. */
const ATTENTION = {
  'attention/attend<Tf32, 64>': { products: 2, plain: 3350, dropped: 4360, sharedBytes: 2300 * 128 },
  'attention_backward/backward<Tf32, 64, false>': { products: 3, plain: 4000, dropped: 5000, sharedBytes: 2950 * 128 },
  'attention_backward/backward<Tf32, 64, true>': { products: 4, plain: 5300, dropped: 7360, sharedBytes: 4350 * 128 },
};

function attentionTiles(kernel, { lengths, H, C, dropout }, bytes) {
  const tiles = lengths.map((length) => div(length, 64));
  const pairs = sum(tiles.map((count) => count * count)) * H;
  const { products, plain, dropped, sharedBytes } = ATTENTION[kernel];
  const instructions = dropout ? dropped : plain;
  return {
    kernel,
    dram: bytes,
    tf32: products * 2 * 64 * 64 * (C / H) * pairs,
    issue: 4 * instructions * pairs,
    shared: sharedBytes * pairs,
    blocks: sum(tiles) * H,
  };
}

const KERNELS = {
  upload: ({ bytes }) => [copy(bytes)],
  download: () => [{ ...copy(4), waits: true }],
  clear: ({ bytes }) => [{ kernel: 'clear', dram: bytes }],
  // The rows are copied, and the copy is converted.
  pack_rows: ({ N, K, type }) => [
    copy(FLOAT * N * K),
    elementwise(converter[type], N * K, N * K * (FLOAT + bytesOf[type]), 8),
  ],
  embedding: ({ T, C, keepsSum }) => [elementwise('embedding/embed', T * C, FLOAT * T * C * (keepsSum ? 3 : 2), 30)],
  layernorm: ({ T, C }) => [elementwise('layernorm/layernorm_rows', T * C, FLOAT * T * C * 2, 16)],
  layernorm_backward: ({ T, C }) => [
    elementwise('layernorm_backward/layernorm_gradients', T * C, FLOAT * T * C * (3 + 2 / 16), 40),
    ...columnSums(div(T, 16), C),
    ...columnSums(div(T, 16), C),
  ],
  // cuBLASLt adds bias and residual within the product; after one of int8, and for erf, there is a pass: 30
  // instructions of a thread, and for each of its rows, of which it has one or two, 36 or with GELU 64.
  linear: ({ T, N, K, type, residual, activation }) => {
    const whole = type === 'int8';
    const finish = (reads) =>
      elementwise(
        `linear/finish<${whole ? 'int' : 'float'}>`,
        T * N,
        FLOAT * T * N * (reads + 1),
        activation ? 94 : 66,
      );
    const more = residual && !whole ? FLOAT * T * N : 0;
    return [
      ...converted(type, T, K),
      product(T, N, K, unitOf[type], { from: bytesOf[type], more }),
      ...(whole ? [finish(residual ? 2 : 1)] : activation ? [finish(1)] : []),
    ];
  },
  // `of`: the gradient of the input or of weight and bias alone; absent: both.
  linear_backward: ({ T, N, K, type, of }) => [
    ...converted(type, T, N),
    ...(of === 'weight' ? [] : [...converted(type, N, K), product(T, K, N, unitOf[type], { from: bytesOf[type] })]),
    ...(of === 'input'
      ? []
      : [
          ...converted(type, T, K),
          product(N, K, T, unitOf[type], { from: bytesOf[type], more: FLOAT * N * K }),
          ...columnSums(T, N),
        ]),
  ],
  attention: (a) => [attentionTiles('attention/attend<Tf32, 64>', a, FLOAT * a.T * a.C * 4)],
  attention_backward: (a) => [
    elementwise('attention_backward/inner_products', a.T * a.C, FLOAT * a.T * a.C * 2, 14),
    attentionTiles('attention_backward/backward<Tf32, 64, false>', a, FLOAT * a.T * a.C * 5),
    attentionTiles('attention_backward/backward<Tf32, 64, true>', a, FLOAT * a.T * a.C * 6),
  ],
  dropout: ({ T, C, residual, draws }) => [
    elementwise('dropout/drop', T * C, FLOAT * T * C * (residual ? 3 : 2), draws ? 44 : 32),
  ],
  activation: ({ T, N }) => [elementwise('activation/activate_values', T * N, FLOAT * T * N * 2, 40)],
  activation_backward: ({ T, N }) => [
    elementwise('activation_backward/activation_gradients', T * N, FLOAT * T * N * 3, 60),
  ],
  sparse_head: ({ lengths, C, V, type, argmax }) => {
    const columns = div(V, 128);
    const kernel = `sparse_head/head<${nameOf[type]}>`;
    const bands = headBands({ lengths, C, V, type });
    return [
      copy(4 * (bands.flat().length + 1)), // groups of texts
      ...bands.flatMap((groups) => {
        const [rows, tiles] = [sum(groups), sum(groups.map((tokens) => div(tokens, 128)))];
        const chunks = div(C * bytesOf[type], 64) * tiles * columns;
        const share = rows / sum(lengths);
        return [
          ...converted(type, rows, C),
          {
            kernel,
            dram: bytesOf[type] * C * (rows + V) + FLOAT * share * lengths.length * V * (argmax ? 2 : 1),
            l2: 16_384 * chunks,
            shared: (HEAD_SHARED_BYTES[type] + 16_384) * chunks,
            issue: 8 * loopOf(kernel) * chunks + HEAD_POOLING * tiles * columns,
            [unitOf[type]]: 2 * 128 * 128 * tiles * columns * C,
            blocks: groups.length * columns,
          },
        ];
      }),
    ];
  },
  // For each 256 columns of a row a warp reads the list of its text.
  sparse_head_backward: ({ B, T, C, V, activeTerms }) => {
    const pairs = B * activeTerms;
    const passes = div(C, 256);
    const scans = T * div(activeTerms, 32) * passes;
    return [
      {
        kernel: 'sparse_head_backward/list_terms',
        dram: FLOAT * B * V * 2 + 8 * pairs,
        blocks: B,
        cycles: (V / 256) * MEMORY_CYCLES,
      },
      copy(4 * T),
      {
        kernel: 'sparse_head_backward/rows_backward',
        dram: FLOAT * C * (T + Math.min(V, pairs)),
        l2: FLOAT * pairs * C + 128 * scans,
        issue: 12 * scans + 30 * passes * pairs,
        blocks: passes * div(T, 8),
        cycles: div(activeTerms, 32) * CACHE_CYCLES + ((activeTerms * B) / T) * MEMORY_CYCLES,
      },
      {
        kernel: 'sparse_head_backward/terms_backward',
        dram: FLOAT * (2 * C * V + 2 * B * V + T * C),
        l2: FLOAT * pairs * C + 2 * 32 * B * V,
        issue: 30 * passes * V * div(B, 32) + 30 * passes * pairs,
        blocks: passes * div(V, 8),
        cycles: div(B, 32) * MEMORY_CYCLES + (pairs / V) * CACHE_CYCLES,
      },
    ];
  },
  topk_threshold: ({ B, V, keptTerms }) => [
    {
      kernel: 'topk_threshold/count_weights',
      dram: FLOAT * B * V,
      blocks: B,
      issue: (B * V * 40) / 32,
      cycles: (V / 256 / 2) * MEMORY_CYCLES,
    },
    {
      kernel: 'topk_threshold/keep_weights',
      dram: FLOAT * B * V + 8 * B * keptTerms,
      blocks: B,
      issue: (B * V * 2 * 40) / 32,
      cycles: 2 * (V / 256 / 2) * MEMORY_CYCLES,
    },
  ],
  sparse_weights: ({ B, V }) => [
    { kernel: 'clear', dram: 4 * B },
    { kernel: 'clear', dram: 4 * V },
    { ...elementwise('sparse_weights/weigh', B * V, FLOAT * B * V * 2, 40), cycles: div(B, 16) * MEMORY_CYCLES },
  ],
  sparse_weights_backward: ({ B, V }) => [
    {
      ...elementwise('sparse_weights_backward/weight_gradients', B * V, FLOAT * B * V * 4, 30),
      cycles: 2 * div(B, 16) * MEMORY_CYCLES,
    },
    orderedSum('sparse_weights_backward/ordered_sum', div(V, 256) * Math.min(B, 16)),
  ],
  scores: ({ Q, D, V }) => [
    ...[Q, D].map((B) => ({
      kernel: 'scores/square_rows',
      dram: FLOAT * B * V,
      blocks: B,
      cycles: (V / 256 / 4) * MEMORY_CYCLES,
    })),
    product(Q, D, V, 'fp32', { from: FLOAT }),
  ],
  scores_backward: ({ Q, D, V }) =>
    [
      [Q, D],
      [D, Q],
    ].flatMap(([rows, others]) => [
      elementwise('scores_backward/square_gradients', rows * V, FLOAT * rows * V * 2),
      product(rows, V, others, 'fp32', { from: FLOAT, more: FLOAT * rows * V }),
    ]),
  flops: ({ B, V }) => [
    { kernel: 'flops/regularize', dram: FLOAT * B * V * 2, blocks: div(V, 128), cycles: div(B, 8) * MEMORY_CYCLES },
    orderedSum('flops/ordered_sum', div(V, 128)),
  ],
  anti_collapse: ({ B, V }) => [
    { kernel: 'anti_collapse/lift_rows', dram: FLOAT * B * V, blocks: B, cycles: (V / 256 / 4) * MEMORY_CYCLES },
    orderedSum('anti_collapse/ordered_sum', B),
    orderedSum('anti_collapse/ordered_sum', B),
  ],
  embedding_backward: ({ B, T, C, lengths }) => [
    { kernel: 'embedding_backward/sort_chunks', dram: 12 * T, blocks: div(T, 1024), cycles: 55 * 200 },
    {
      kernel: 'embedding_backward/merge_chunks',
      dram: 16 * T,
      blocks: div(T, 256),
      cycles: div(T, 1024) * 10 * CACHE_CYCLES,
    },
    // The longest sum is that of the most frequent word, taken to be 3% of all tokens, eight rows at a time.
    {
      kernel: 'embedding_backward/add_words',
      dram: FLOAT * T * C * 2,
      cycles: ((0.03 * T) / 8) * MEMORY_CYCLES,
    },
    { kernel: 'embedding_backward/add_positions', dram: FLOAT * T * C, cycles: (B / 8) * MEMORY_CYCLES },
    ...columnSums(Math.max(...lengths), C),
  ],
  square_sum: ({ count }) => [
    { ...elementwise('square_sum/square_parts', count, FLOAT * count, 8), blocks: Math.min(1024, div(count, 2048)) },
    orderedSum('square_sum/ordered_sum', 1024),
  ],
  dense_pool: ({ B, T, C }) => [
    {
      kernel: 'dense_pool/pool_texts',
      dram: FLOAT * C * (T + B),
      blocks: B,
      cycles: div(C, 256) * div(T / B, 8) * MEMORY_CYCLES,
    },
  ],
  dense_pool_backward: ({ B, T, C }) => [
    {
      kernel: 'dense_pool_backward/spread_texts',
      dram: FLOAT * C * (T + B),
      blocks: T,
      cycles: (div(C, 128) + Math.log2(B + 1)) * MEMORY_CYCLES,
    },
  ],
  // Four passes over a row, of which those after the first find it in the cache.
  vocabulary_distance: ({ B, V }) => [
    {
      kernel: 'vocabulary_distance/squared_rows',
      dram: FLOAT * B * V * 2,
      l2: FLOAT * B * V * 4,
      blocks: B,
      cycles: (V / 256 / 4) * (MEMORY_CYCLES + CACHE_CYCLES),
    },
    orderedSum('vocabulary_distance/ordered_sum', B),
  ],
  gather_rows: ({ N, C }) => [copiedRows('gather_rows/copy_rows', N, C)],
  gather_rows_backward: ({ N, C }) => [copiedRows('gather_rows_backward/copy_rows', N, C)],
  // Three passes over a row.
  cross_entropy: ({ M, V }) => [
    {
      kernel: 'cross_entropy/entropy_rows',
      dram: FLOAT * M * V * 2,
      l2: FLOAT * M * V * 4,
      issue: div(M * V, 32) * 40,
      blocks: M,
      cycles: (V / 256 / 4) * (MEMORY_CYCLES + 2 * CACHE_CYCLES),
    },
  ],
  adamw: ({ count }) => [elementwise('adamw/update', count, FLOAT * count * 7, 50), elementwise('adamw/update', 1, 0)],
};

/** The launches of ops, each with the op's phase and name; `budgetOf(kernel)`: its resident blocks and occupancy. */
export function launchesOf(ops, budgetOf = () => ({})) {
  return ops.flatMap(({ phase, op, ...values }) =>
    KERNELS[op](values).map((launch) => ({ phase, op, ...budgetOf(launch.kernel), ...launch })),
  );
}

/** Terms whose logits sparse_head_backward computes again at a time, where pooling is a sum. */
const SUM_TERMS = 128;

/** Bytes of scratch memory that the head's two directions take beside what they return: {buffer: bytes}. */
export function headScratch({ lengths, C, V, type }) {
  const [B, T] = [lengths.length, sum(lengths)];
  const bands = headBands({ lengths, C, V, type });
  return {
    forward: {
      'rows of the input in the type of the product': Math.max(
        ...bands.map((groups) => convertedBytes(type, sum(groups), C)),
      ),
      'groups of texts': 4 * (bands.flat().length + 1),
    },
    backward: {
      'terms with a gradient': 4 * B * V,
      'how many there are': 4 * B,
      'text of each row': 4 * T,
    },
    backwardOfSums: {
      'logits of some terms': 4 * T * SUM_TERMS,
      'sums of ranges of rows': 4 * div(T, 64) * SUM_TERMS,
      'text of each row': 4 * T,
    },
  };
}
