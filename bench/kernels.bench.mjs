// The kernels of the op table on the chosen CPU level of this machine, beside the measured peak. The second type of products is what
// training in bfloat16 is computed in: that, or int16 where it is faster.
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
import * as op from './support/op-cases.mjs';
import { summary } from './support/statistics.mjs';

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    time: { type: 'string', default: '300' },
    filter: { type: 'string', default: '' },
  },
});

const { cpuLevel, cpuSixteenBits } = native.platform();

const cases = [
  ...[32, 128, 1024].flatMap((T) => [
    op.linear(T, 2304, 768),
    op.linear(T, 3072, 768, { activation: 'gelu' }),
    op.linear(T, 768, 3072),
  ]),
  ...['float32', cpuSixteenBits].flatMap((type) =>
    [576, 4608].flatMap((T) =>
      ['d_in', 'd_weight'].flatMap((only) =>
        [
          [3072, 768],
          [768, 3072],
          [768, 768],
        ].map(([N, K]) => op.linearBackward(T, N, K, { only, type })),
      ),
    ),
  ),
  ...[op.attention(1, 8), ...[32, 64, 128, 256].map((L) => op.attention(8, L))],
  op.attention(8, 128, { dropout: 0.1 }),
  ...[64, 128, 256].map((L) => op.attention(8, L, { backward: true })),
  op.attention(8, 128, { backward: true, dropout: 0.1 }),
  ...[op.sparseHead(8, 128, 128), op.sparseHead(8, 128, 768), op.sparseHead(32, 128, 768)],
  ...[op.layernorm(1024, 768), op.layernorm(4608, 768)].flat(),
  ...[op.activation(4608, 3072, 'gelu'), op.activation(4608, 3072, 'relu')].flat(),
  ...[op.dropout(72, 64, 768, 0.1), op.dropout(72, 64, 768, 0)],
  op.embeddingBackward(72, 64, 768),
  ...[op.adamw(768 * 3072), op.adamw(30522 * 768)],
  op.squareSum(30522 * 768),
].filter(({ name }) => name.includes(options.filter));

const report = { ...provenance(), cases: [] };
for (const { name, op: opName, flop, bytes, args } of cases) {
  const before = native.roofline();
  const bench = new Bench({
    time: Number(options.time),
    iterations: 5,
    warmupIterations: 1,
    warmupTime: 0,
    retainSamples: true,
  });
  bench.add(name, native.prepareOp(`cpu:${cpuLevel}`, opName, args()));
  await bench.run();
  const after = native.roofline();
  const { result } = bench.tasks[0];
  if (result.error) throw result.error;
  const milliseconds = summary(result.latency.samples);
  const row = {
    name: name.replace(/^\w+\/\w+/, `$&/${cpuLevel}`),
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
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
