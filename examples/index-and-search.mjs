// An index of the library collection on disk, and a search in it.
//   node examples/index-and-search.mjs [MODEL] [QUERY]
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { documentText, FLES1Encoder, InvertedIndex, readBeir } from 'fles';

const [, , model = process.env.FLES_MODEL ?? 'rasyosef/splade-tiny', text = 'how do bees find food'] = process.argv;
const library = await readBeir(fileURLToPath(new URL('library', import.meta.url)), 'test');
const documents = [];
for await (const document of library.documents()) documents.push(document);
const directory = await mkdtemp(join(tmpdir(), 'fles-example-'));

const encoder = await FLES1Encoder.fromPretrained(model);
const vectors = await encoder.encodeBatch(documents.map(documentText));
const index = await InvertedIndex.build(
  join(directory, 'index'),
  documents.map(({ id }, i) => ({ id, vector: vectors.row(i) })),
);
console.log(`${index.info.documents} documents, ${index.info.postings} postings, ${index.info.bytes.total} bytes`);

console.log(`query: ${text}`);
const query = await encoder.encode(text, { kind: 'query' });
for (const { id, document, score } of await index.search(query, { k: 5 })) {
  console.log(`  ${score.toFixed(3)}  ${id}  ${documents[document].title}`);
}
index.close();
encoder.dispose();
await rm(directory, { recursive: true });
