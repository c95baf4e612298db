// Encodes a stream of any length with bounded memory: here the lines of a file, or of standard input.
//   node examples/stream-encode.mjs [MODEL] [FILE]
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { FLES1Encoder } from 'fles';

const [, , model = process.env.FLES_MODEL ?? 'rasyosef/splade-tiny', file] = process.argv;
const encoder = await FLES1Encoder.fromPretrained(model);
// Not before it is read from: readline drops lines that nobody waits for.
const lines = createInterface({ input: file ? createReadStream(file) : process.stdin });

let texts = 0;
let terms = 0;
const signal = AbortSignal.timeout(60_000); // gives up after a minute
for await (const vector of encoder.encodeStream(lines, { threshold: 0.3, signal })) {
  texts++;
  terms += vector.nnz;
}
console.log(`${texts} texts, ${(terms / Math.max(texts, 1)).toFixed(1)} terms a text`);
encoder.dispose();
