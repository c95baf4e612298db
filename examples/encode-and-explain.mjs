// A text as weighted terms, and why a query matches it.
//   node examples/encode-and-explain.mjs [MODEL]
import { FLES1Encoder } from 'fles';

const encoder = await FLES1Encoder.fromPretrained(process.argv[2] ?? process.env.FLES_MODEL ?? 'rasyosef/splade-tiny');

const query = await encoder.encode('why is the sky blue', { kind: 'query' });
const document = await encoder.encode(
  'Air molecules scatter short wavelengths of sunlight most, so the sky looks blue.',
  {
    topK: 64,
  },
);

console.log('heaviest terms of the document:');
for (const [term, weight] of document.entries().slice(0, 8)) console.log(`  ${term.padEnd(14)} ${weight.toFixed(3)}`);

console.log(`score ${query.dot(document).toFixed(3)}, made of:`);
for (const { term, weight, otherWeight, product } of query.explain(document).slice(0, 8)) {
  console.log(`  ${term.padEnd(14)} ${weight.toFixed(3)} x ${otherWeight.toFixed(3)} = ${product.toFixed(3)}`);
}
encoder.dispose();
