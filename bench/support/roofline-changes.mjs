// Changes to the CUDA backend and what the model is told of each: [label, options of the step, launches to launches].

const same = (launches) => launches;
const without = (kernelOrOp) => (launches) =>
  launches.filter(({ kernel, op }) => !kernel.startsWith(kernelOrOp) && op !== kernelOrOp);
/** Launches of kernels whose names begin so, changed. */
const each = (prefix, change) => (launches) =>
  launches.map((launch) => (launch.kernel.startsWith(prefix) ? { ...launch, ...change(launch) } : launch));
const scaled = (record, factor) =>
  Object.fromEntries(Object.entries(record ?? {}).map(([key, x]) => [key, factor * x]));

const attentionWarps = each('attention', ({ occupancy }) => ({ occupancy: scaled(occupancy, 2) }));
const attentionInstructions = each('attention', ({ issue }) => ({ issue: 0.5 * issue }));
const headInstructions = each('sparse_head/head', ({ issue }) => ({ issue: 0.6 * issue }));

const withoutBiasSums = (launches) =>
  launches.filter(({ op, kernel }) => op !== 'linear_backward' || !kernel.startsWith('column_sums'));
const everything = [attentionWarps, attentionInstructions, headInstructions, without('pack_rows'), withoutBiasSums];

export const CHANGES = [
  ['none', {}, same],
  ['attention: twice the warps on a multiprocessor', {}, attentionWarps],
  ['attention: half of the instructions', {}, attentionInstructions],
  ['float32 weights are read where they are, not packed', {}, without('pack_rows')],
  ['head: 0.6 of the instructions', {}, headInstructions],
  ['gradients of biases within the product', {}, withoutBiasSums],
  ['all of these', {}, (launches) => everything.reduce((all, change) => change(all), launches)],
  ['none, and micro-batches of 4,668 tokens (1.85 GB of activations)', { microTokens: 4668 }, same],
];

/** What is behind them. */
export const NOTES = [
  '- **Micro-batches.** A step of 256 documents of 256 tokens keeps 26.8 GB of activations. Where half of the memory of a device',
  '  does not hold them, all micro-batches but the last go forward twice, and their kernels are shorter beside their launches.',
  '- **Attention** is held up by instructions and by few warps, not by tensor cores. Its instructions: the four lanes of a quad each compute the same',
  '  Philox block of eight draws and use two of them, and in the pass of the keys every lane computes a block for each single',
  '  draw; tiles are loaded four bytes at a time with 22 instructions for each value, where `cp.async` of 16 bytes would do; TF32',
  '  rounding costs two instructions for each value in each of the four warps, where it could be done once on loading; second',
  '  factors that are read by rows (`Factor::kRows`) meet every bank twice with rows of 68 floats, and once with rows of 72.',
  '- **`linear/finish`** is gone from a training step: cuBLASLt adds bias and residual within the product. In the encoder it is left',
  '  after the products of int8 and for the erf form of GELU, which no epilogue of cuBLASLt has.',
  '- **`pack_rows`** copies float32 weights twice before the products of every micro-batch, to bytes that are the same as before.',
  '- **`sparse_head/head`**: on Hopper, `wgmma` would come next. Its end (64 rows by 128 of the 256 threads, with `offsets` read for',
  '  every row) is latency that only the other block of the multiprocessor hides.',
  '- **The encoder** waits for a batch three times: for the offsets of its rows, their terms and their weights. It does so on another thread, while the',
  '  next batch is queued; that these overlap is not in the times below.',
  '- **bfloat16** converts both factors before every product, float32 to memory and back. Activations and weights kept in',
  '  bfloat16 would need neither.',
];
