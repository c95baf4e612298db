// The kernels of the op table, each on every CPU level of this machine, beside the measured peak.
//
//   npm run bench:kernels [-- --json FILE] [--time MILLISECONDS] [--filter SUBSTRING]
//
// Names are op/direction/level axis=value. Figures are medians with quartiles over tinybench's samples; GFLOP/s count a
// multiply-add as two, GB/s what must be read and written (not the reading of what is only written), and the peak and the
// bandwidth of reading are measured before and after each case because the machine's speed drifts.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Bench } from 'tinybench';
import { native } from './support/fles.mjs';
import { provenance } from './support/machine.mjs';
import { summary } from './support/statistics.mjs';

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    time: { type: 'string', default: '300' },
    filter: { type: 'string', default: '' },
  },
});

/** Values in -0.5..0.5, seeded by their number. */
function floats(length) {
  let state = length;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

const offsets = (texts, length) => Int32Array.from({ length: texts + 1 }, (_, b) => b * length);

/** A linear layer of BERT-base, forward. */
function linear(T, N, K, activation = 'none') {
  return {
    name: `linear/forward T=${T} N=${N} K=${K}${activation === 'none' ? '' : ` ${activation}`}`,
    op: 'linear',
    flop: 2 * T * N * K,
    args: () => ({
      ...{ T, N, K, activation, in: floats(T * K), weight: floats(N * K), bias: floats(N) },
      out: new Float32Array(T * N),
    }),
  };
}

/** One gradient of a linear layer: of its input or of its weight. */
function backward(T, N, K, gradient) {
  const needs = gradient === 'd_in' ? 'weight' : 'in';
  const size = gradient === 'd_in' ? T * K : N * K;
  return {
    name: `linear/backward ${gradient} T=${T} N=${N} K=${K}`,
    op: 'linear_backward',
    flop: 2 * T * N * K,
    args: () => ({
      ...{ T, N, K, dtype: 'float32', d_out: floats(T * N), [needs]: floats(needs === 'in' ? T * K : N * K) },
      [gradient]: new Float32Array(size),
    }),
  };
}

/** Attention, forward or backward, with as much dropout; its two or five products count. */
function attention(B, L, { backward = false, dropout = 0, C = 768, H = 12 } = {}) {
  const T = B * L;
  const direction = backward ? 'backward' : 'forward';
  return {
    name: `attention/${direction} B=${B} L=${L} C=${C} H=${H}${dropout === 0 ? '' : ` dropout=${dropout}`}`,
    op: backward ? 'attention_backward' : 'attention',
    flop: (backward ? 10 : 4) * T * L * C,
    args: () => ({
      ...{ B, T, C, H, qkv: floats(3 * T * C), offsets: offsets(B, L), out: floats(T * C) },
      ...{ dropout, seed: 1, text_ids: Int32Array.from({ length: B }, (_, b) => b) },
      // Of scores that are all 0; the largest here are nearly that.
      ...(backward && { d_out: floats(T * C), log_sums: new Float32Array(T * H).fill(Math.log(L)) }),
      ...(backward && { d_qkv: new Float32Array(3 * T * C) }),
    }),
  };
}

function head(B, L, C, V = 30522) {
  return {
    name: `sparse_head/forward B=${B} L=${L} C=${C} V=${V}`,
    op: 'sparse_head',
    flop: 2 * B * L * C * V,
    args: () => ({
      ...{ B, T: B * L, C, V, pooling: 'max', in: floats(B * L * C), weight: floats(V * C), bias: floats(V) },
      ...{ offsets: offsets(B, L), pooled: new Float32Array(B * V) },
    }),
  };
}

/** An op that memory bounds: `bytes` is what it must read and write. */
const moving = (name, op, bytes, args) => ({ name, op, bytes, args });

function layernorm(T, C) {
  const args = () => ({ T, C, eps: 1e-12, in: floats(T * C), gamma: floats(C) });
  return [
    moving(`layernorm/forward T=${T} C=${C}`, 'layernorm', 8 * T * C, () => ({
      ...args(),
      beta: floats(C),
      out: new Float32Array(T * C),
    })),
    moving(`layernorm/backward T=${T} C=${C}`, 'layernorm_backward', 12 * T * C, () => ({
      ...args(),
      d_out: floats(T * C),
      d_in: new Float32Array(T * C),
      d_gamma: new Float32Array(C),
      d_beta: new Float32Array(C),
    })),
  ];
}

function activation(T, N, activation) {
  const args = () => ({ T, N, activation, in: floats(T * N) });
  return [
    moving(`activation/forward T=${T} N=${N} ${activation}`, 'activation', 8 * T * N, () => ({
      ...args(),
      out: new Float32Array(T * N),
    })),
    moving(`activation/backward T=${T} N=${N} ${activation}`, 'activation_backward', 12 * T * N, () => ({
      ...args(),
      d_out: floats(T * N),
      d_in: new Float32Array(T * N),
    })),
  ];
}

function dropout(B, L, C, p) {
  const T = B * L;
  return moving(`dropout/forward B=${B} L=${L} C=${C} p=${p}`, 'dropout', 12 * T * C, () => ({
    ...{ B, T, C, dropout: p, seed: 1, in: floats(T * C), residual: floats(T * C), offsets: offsets(B, L) },
    text_ids: Int32Array.from({ length: B }, (_, b) => b),
    out: new Float32Array(T * C),
  }));
}

/** Every fourth token is one of 8 words, as in text; each row is read for its word and for its position. */
function embeddingBackward(B, L, C, V = 30522) {
  const T = B * L;
  return moving(`embedding/backward B=${B} L=${L} C=${C} V=${V}`, 'embedding_backward', 8 * T * C, () => ({
    ...{ B, T, C, V, P: 512, offsets: offsets(B, L), d_sum: floats(T * C) },
    tokens: Int32Array.from({ length: T }, (_, t) => (t % 4 === 0 ? 1996 + (t % 8) : (t * 7919) % V)),
    d_word: new Float32Array(V * C),
    d_position: new Float32Array(512 * C),
    d_type: new Float32Array(C),
  }));
}

function adamw(count) {
  return moving(`adamw/update count=${count}`, 'adamw', 28 * count, () => ({
    ...{ count, rate: 2e-5, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.01 },
    ...{ scale: 1, correction1: 0.1, correction2: 0.001, gradient: floats(count) },
    ...{ parameter: floats(count), first: new Float32Array(count), second: new Float32Array(count) },
  }));
}

const squareSum = (count) =>
  moving(`square_sum/forward count=${count}`, 'square_sum', 4 * count, () => ({
    count,
    in: floats(count),
    out: new Float32Array(1),
  }));

const cases = [
  ...[32, 128, 1024].flatMap((T) => [linear(T, 2304, 768), linear(T, 3072, 768, 'gelu'), linear(T, 768, 3072)]),
  ...[576, 4608].flatMap((T) => [
    ...[backward(T, 3072, 768, 'd_in'), backward(T, 768, 3072, 'd_in'), backward(T, 768, 768, 'd_in')],
    ...[backward(T, 3072, 768, 'd_weight'), backward(T, 768, 3072, 'd_weight'), backward(T, 768, 768, 'd_weight')],
  ]),
  ...[attention(1, 8), attention(8, 32), attention(8, 64), attention(8, 128), attention(8, 256)],
  attention(8, 128, { dropout: 0.1 }),
  ...[64, 128, 256].map((L) => attention(8, L, { backward: true })),
  attention(8, 128, { backward: true, dropout: 0.1 }),
  ...[head(8, 128, 128), head(8, 128, 768), head(32, 128, 768)],
  ...[layernorm(1024, 768), layernorm(4608, 768)].flat(),
  ...[activation(4608, 3072, 'gelu'), activation(4608, 3072, 'relu')].flat(),
  ...[dropout(72, 64, 768, 0.1), dropout(72, 64, 768, 0)],
  embeddingBackward(72, 64, 768),
  ...[adamw(768 * 3072), adamw(30522 * 768)],
  squareSum(30522 * 768),
].filter(({ name }) => name.includes(options.filter));

const report = { ...provenance(), cases: [] };
for (const level of native.platform().cpuLevels.slice(-1)) {
  for (const { name, op, flop, bytes, args } of cases) {
    const before = native.roofline();
    const bench = new Bench({
      time: Number(options.time),
      iterations: 5,
      warmupIterations: 1,
      warmupTime: 0,
      retainSamples: true,
    });
    bench.add(name, native.prepareOp(`cpu:${level}`, op, args()));
    await bench.run();
    const after = native.roofline();
    const { result } = bench.tasks[0];
    if (result.error) throw result.error;
    const milliseconds = summary(result.latency.samples);
    const row = {
      name: name.replace(/^\w+\/\w+/, `$&/${level}`),
      milliseconds,
    };
    if (flop) {
      row.gflops = flop / milliseconds.median / 1e6;
      row.ofPeak = row.gflops / Math.max(before.gflops, after.gflops);
    } else {
      row.gbytes = bytes / milliseconds.median / 1e6;
      row.ofBandwidth = row.gbytes / Math.max(before.gbytes, after.gbytes);
    }
    report.cases.push(row);
    const rate = flop
      ? `${row.gflops.toFixed(0)} GFLOP/s, ${(100 * row.ofPeak).toFixed(0)}% of the peak`
      : `${row.gbytes.toFixed(1)} GB/s, ${(100 * row.ofBandwidth).toFixed(0)}% of the bandwidth`;
    console.log(
      `${row.name.padEnd(60)} ${milliseconds.median.toFixed(2)} ms (${milliseconds.low.toFixed(2)}..${milliseconds.high.toFixed(2)}) ${rate}`,
    );
  }
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
