// Texts for benchmarks: the words of the package's own sample collection, and NFCorpus where FLES_DATA has it; vocabularies.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const library = join(dirname(fileURLToPath(import.meta.url)), '../../examples/library/corpus.jsonl');

function documents(path) {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .map(({ title, text }) => `${title} ${text}`.trim());
}

/** Words in the order of their first appearance, lower case, each a piece of the random model's vocabulary. */
export function words() {
  const all = documents(library).flatMap((text) => text.toLowerCase().match(/[a-z]+/g) ?? []);
  const letters = Array.from('abcdefghijklmnopqrstuvwxyz0123456789').flatMap((c) => [c, `##${c}`]);
  const punctuation = Array.from('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~');
  return [...new Set([...letters, ...punctuation, ...all])];
}

/**
 * The vocabulary of BERT where FLES_MODELS has it, so that texts have their true lengths in tokens; else the words above,
 * of which others are spelt in letters.
 */
export function vocabulary() {
  const path = join(process.env.FLES_MODELS ?? '', 'bert-base-uncased-vocab/vocab.txt');
  if (!process.env.FLES_MODELS || !existsSync(path)) return { name: 'the sample collection', words: words() };
  return { name: 'bert-base-uncased', words: readFileSync(path, 'utf8').split('\n').filter(Boolean) };
}

/** `count` texts of exactly `tokens` tokens with [CLS] and [SEP], seeded, for a vocabulary that has every word whole. */
export function fixedTexts(count, tokens, vocabulary) {
  const whole = words().filter((word) => /^[a-z]+$/.test(word) && vocabulary.has(word));
  let seed = tokens * 1000 + count;
  const next = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return whole[Math.floor((seed / 2 ** 32) * whole.length)];
  };
  return Array.from({ length: count }, () => Array.from({ length: tokens - 2 }, next).join(' '));
}

/** Every n-th document of NFCorpus, `count` in all; null when FLES_DATA does not name a folder that has it. */
export function nfcorpusTexts(count) {
  const path = join(process.env.FLES_DATA ?? '', 'nfcorpus/corpus.jsonl');
  if (!process.env.FLES_DATA || !existsSync(path)) return null;
  const all = documents(path);
  return Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]);
}
