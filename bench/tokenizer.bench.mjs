// Tokenisation of NFCorpus's 3,633 documents (title and text): this package's tokenizer, the library under it called
// directly, and @huggingface/tokenizers (JavaScript) when it is given. Prints JSON.
//
//   npm run build:lib
//   npm install --prefix /tmp/rival @huggingface/tokenizers
//   FLES_DATA=... FLES_MODELS=... node bench/tokenizer.bench.mjs [/tmp/rival/node_modules/@huggingface/tokenizers]
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROUNDS = 7;
const require = createRequire(import.meta.url);
const { Tokenizer } = require('../dist/text/tokenizer.js');
const { Tokenizer: Library } = require('tokenizers');
const rivalFolder = process.argv[2];

const model = join(process.env.FLES_MODELS, 'bert-base-uncased-vocab');
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const texts = readFileSync(join(process.env.FLES_DATA, 'nfcorpus/corpus.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const { title, text } = JSON.parse(line);
    return `${title} ${text}`.trim();
  });

const own = await Tokenizer.load(model);
await own.encodeBatch(texts);
const library = Library.fromFile(join(model, 'tokenizer.json'));
library.disableTruncation();
const contestants = {
  'tokenizer/encode/fles words=new': async () => {
    await (await Tokenizer.load(model)).encodeBatch(texts);
  },
  'tokenizer/encode/fles words=known': async () => {
    const { tokens, offsets } = await own.encodeBatch(texts);
    return texts.map((_, i) => [...tokens.subarray(offsets[i], offsets[i + 1])]);
  },
  'tokenizer/encode/fles words=known maxLength=256': async () => {
    await own.encodeBatch(texts, { maxLength: 256 });
  },
  'tokenizer/encode/tokenizers batch=64': async () => {
    const rows = [];
    for (let begin = 0; begin < texts.length; begin += 64) {
      for (const encoding of await library.encodeBatch(texts.slice(begin, begin + 64))) rows.push(encoding.getIds());
    }
    return rows;
  },
  'tokenizer/encode/tokenizers batch=1': async () => {
    const rows = [];
    for (const text of texts) rows.push((await library.encode(text)).getIds());
    return rows;
  },
};
const versions = { node: process.version, tokenizers: version(require.resolve('tokenizers/package.json')) };
if (rivalFolder) {
  const manifest = readJson(join(rivalFolder, 'package.json'));
  const entry = join(rivalFolder, manifest.module ?? manifest.exports?.import ?? manifest.main);
  const { Tokenizer: Rival } = await import(pathToFileURL(entry));
  const rival = new Rival(readJson(join(model, 'tokenizer.json')), readJson(join(model, 'tokenizer_config.json')));
  contestants['tokenizer/encode/@huggingface/tokenizers batch=1'] = async () =>
    texts.map((text) => rival.encode(text).ids);
  versions['@huggingface/tokenizers'] = manifest.version;
}

const seconds = {};
const cpuSeconds = {};
const differ = {};
let reference;
// Round by round, so that a busy spell of the machine meets all of them.
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(contestants)) {
    const start = performance.now();
    const used = process.cpuUsage();
    const rows = await run();
    const { user, system } = process.cpuUsage(used);
    cpuSeconds[name] = [...(cpuSeconds[name] ?? []), (user + system) / 1e6];
    seconds[name] = [...(seconds[name] ?? []), (performance.now() - start) / 1000];
    if (!rows) continue;
    reference ??= rows;
    differ[name] = rows.filter((row, i) => row.join() !== reference[i].join()).length;
  }
}
const results = Object.entries(seconds).map(([name, all]) => {
  const ascending = (values) => values.toSorted((a, b) => a - b);
  const sorted = ascending(all);
  const rate = (value) => Math.round(texts.length / value);
  return {
    name,
    textsPerSecond: { median: rate(sorted[ROUNDS >> 1]), slowest: rate(sorted.at(-1)), fastest: rate(sorted[0]) },
    // Over all threads; steadier than the rate on a machine that others use too.
    cpuMillisecondsPerText: Number(((1000 * ascending(cpuSeconds[name])[ROUNDS >> 1]) / texts.length).toFixed(3)),
    textsThatDiffer: differ[name] ?? null,
  };
});
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
  cwd: import.meta.dirname,
  encoding: 'utf8',
}).trim();
const machine = { cpu: cpus()[0].model, cores: cpus().length };
console.log(JSON.stringify({ machine, commit, versions, texts: texts.length, rounds: ROUNDS, results }, null, 2));

function version(manifest) {
  return readJson(manifest).version;
}
