// The kernels of the op table on the chosen CPU level of this machine, beside the measured peak. The second type of products is what
// training in bfloat16 is computed in: that, or int16 where it is faster.
//
//   npm run bench:kernels [-- --json FILE] [--time MILLISECONDS] [--filter SUBSTRING]
//
// Names are op/direction/level axis=value. Figures are medians with quartiles over tinybench's samples; GFLOP/s count a
// multiply-add as two, GB/s what must be read and written (not the reading of what is only written). The machine's speed
// drifts: before each sample the processor does as many multiply-adds on registers, and the share of the peak is the
// median of the ratios pair by pair; the bandwidth of reading is measured before and after each case.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Bench } from 'tinybench';
import { native } from './support/fles.mjs';
import { provenance } from './support/machine.mjs';
import * as op from './support/op-cases.mjs';
import { ratio, summary } from './support/statistics.mjs';

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
  ...[128, 256].map((L) => op.attention(8, L, { type: 'bfloat16' })),
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
  const milliseconds = [];
  const atPeak = [];
  const before = flop ? null : native.roofline();
  const run = native.prepareOp(`cpu:${cpuLevel}`, opName, args());
  const bench = new Bench({ time: Number(options.time), iterations: 5, warmupIterations: 1, warmupTime: 0 });
  bench.add(
    name,
    () => {
      const start = performance.now();
      run();
      milliseconds.push(performance.now() - start);
    },
    // Not async: else tinybench would run it once more, to see whether it is.
    { async: false, beforeEach: () => flop && atPeak.push(flop / native.multiplyAddRate(flop) / 1e6) },
  );
  await bench.run();
  const { result } = bench.tasks[0];
  if (result.error) throw result.error;
  const row = {
    name: name.replace(/^\w+\/\w+/, `$&/${cpuLevel}`),
    milliseconds: summary(milliseconds.slice(1)), // the first warms up
  };
  let rate;
  if (flop) {
    row.gflops = flop / row.milliseconds.median / 1e6;
    row.ofPeak = ratio(atPeak.slice(1), milliseconds.slice(1));
    const { median, low, high } = row.ofPeak;
    const [share, ...quartiles] = [median, low, high].map((value) => `${(100 * value).toFixed(0)}%`);
    rate = `${row.gflops.toFixed(0)} GFLOP/s, ${share} of the peak (${quartiles.join('..')})`;
  } else {
    row.gbytes = bytes / row.milliseconds.median / 1e6;
    row.ofBandwidth = row.gbytes / Math.max(before.gbytes, native.roofline().gbytes);
    rate = `${row.gbytes.toFixed(1)} GB/s, ${(100 * row.ofBandwidth).toFixed(0)}% of the bandwidth`;
  }
  report.cases.push(row);
  const { median, low, high } = row.milliseconds;
  console.log(`${row.name.padEnd(60)} ${median.toFixed(2)} ms (${low.toFixed(2)}..${high.toFixed(2)}) ${rate}`);
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
