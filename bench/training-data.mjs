// Memory and speed of reading training data: generates a collection in MS MARCO's layout, opens it in a process of its own and
// makes steps of 32 queries with 7 negatives, one given and six drawn from the collection, tokenised to 256 tokens a passage.
//
//   npm run build
//   node bench/training-data.mjs [--passages 8800000] [--triples 40000000] [--steps 200] [--folder DIR] [--json FILE]
//
// The same is measured on a hundredth of it, which shows what of the memory depends on the size. Passages have 55 words of a
// vocabulary of 30,000 (335 bytes on average, as MS MARCO's have), queries 6; a tenth as many queries as passages.
// Disk: 360 bytes a passage and 23 a triple. --folder keeps the files there and uses them again.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);

const { values: options } = parseArgs({
  options: {
    passages: { type: 'string', default: '8800000' },
    triples: { type: 'string', default: '40000000' },
    steps: { type: 'string', default: '200' },
    folder: { type: 'string' },
    json: { type: 'string' },
    measure: { type: 'string' },
  },
});
const TRIPLES = 'qidpidtriples.train.full.2.tsv';

/** xorshift32, an integer below `limit`. */
function generator(seed) {
  let state = (seed * 0x9e3779b1) | 0;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * limit);
  };
}

/** Words of 2 to 9 letters, all different. */
function vocabulary() {
  const next = generator(1);
  const words = new Set();
  while (words.size < 30_000) {
    words.add(Array.from({ length: 2 + next(8) }, () => String.fromCharCode(97 + next(26))).join(''));
  }
  return [...words];
}

function writeLines(path, count, line) {
  const file = openSync(`${path}.tmp`, 'w');
  for (let i = 0; i < count; ) {
    let chunk = '';
    for (const end = Math.min(count, i + 4096); i < end; i++) chunk += `${line(i)}\n`;
    writeSync(file, chunk);
  }
  closeSync(file);
  renameSync(`${path}.tmp`, path);
}

function generate(folder, passages, triples) {
  mkdirSync(folder, { recursive: true });
  const words = vocabulary();
  const next = generator(2);
  const text = (length) => {
    let line = words[next(words.length)];
    for (let i = 1; i < length; i++) line += ` ${words[next(words.length)]}`;
    return line;
  };
  const queries = Math.max(1, Math.floor(passages / 10));
  writeFileSync(join(folder, 'vocab.txt'), ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...words].join('\n'));
  writeLines(join(folder, 'collection.tsv'), passages, (i) => `${i}\t${text(55)}`);
  // As in MS MARCO the ids of queries have gaps and their lines no order.
  writeLines(
    join(folder, 'queries.train.tsv'),
    queries,
    (i) => `${((i * 7919) % queries) + queries * (i & 1)}\t${text(6)}`,
  );
  const idOf = (i) => ((i * 7919) % queries) + queries * (i & 1);
  writeLines(join(folder, TRIPLES), triples, () => {
    const query = next(queries);
    return `${idOf(query)}\t${(query * 10) % passages}\t${next(passages)}`;
  });
}

/** Opens the data and runs steps; prints what they took as JSON. */
async function measure(folder, steps) {
  const { openPairs, streamBatches } = require('../dist/train/data');
  const { Tokenizer } = require('../dist/text/tokenizer.js');
  const megabytes = () => process.resourceUsage().maxRSS / 1024;
  const report = { startMb: megabytes() };
  const tokenizer = await Tokenizer.load(folder);
  const start = performance.now();
  const before = process.cpuUsage();
  const source = await openPairs(folder);
  const { user, system } = process.cpuUsage(before);
  report.openSeconds = (performance.now() - start) / 1000;
  report.openCpuSeconds = (user + system) / 1e6;
  report.openMb = megabytes();
  Object.assign(report, { passages: source.pool.size, triples: source.size });
  report.files = ['collection.tsv', 'queries.train.tsv', TRIPLES].reduce(
    (sum, name) => sum + statSync(join(folder, name)).size,
    0,
  );
  const stream = streamBatches(source, tokenizer, {
    queries: 32,
    negatives: 7,
    givenNegatives: 1,
    seed: 1,
    queryLength: 32,
    documentLength: 256,
  });
  const times = [];
  for (let step = 0; step < steps; step++) {
    const before = performance.now();
    await stream.next();
    times.push(performance.now() - before);
  }
  await stream.close();
  await source.close();
  report.millisecondsAStep = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  report.peakMb = megabytes();
  console.log(JSON.stringify(report));
}

function run(folder, passages, triples) {
  if (!existsSync(join(folder, TRIPLES))) generate(folder, passages, triples);
  const script = fileURLToPath(import.meta.url);
  const output = execFileSync(process.execPath, [script, '--measure', folder, '--steps', options.steps], {
    encoding: 'utf8',
  });
  const report = JSON.parse(output);
  console.error(
    `${report.passages} passages, ${report.triples} triples (${(report.files / 1e9).toFixed(2)} GB): opened in ${report.openSeconds.toFixed(1)} s (${report.openCpuSeconds.toFixed(1)} s of processor time), ` +
      `${report.millisecondsAStep.toFixed(1)} ms a step, peak RSS ${report.peakMb.toFixed(0)} MB (${report.startMb.toFixed(0)} MB before)`,
  );
  return report;
}

if (options.measure !== undefined) {
  await measure(options.measure, Number(options.steps));
} else {
  const passages = Number(options.passages);
  const triples = Number(options.triples);
  const temporary = options.folder === undefined ? mkdtempSync(join(tmpdir(), 'fles-bench-')) : undefined;
  const folder = options.folder ?? temporary;
  try {
    const reports = [100, 1].map((part) =>
      run(join(folder, `part-${part}`), Math.ceil(passages / part), Math.ceil(triples / part)),
    );
    if (options.json !== undefined) {
      const { provenance } = await import('./support/machine.mjs');
      writeFileSync(options.json, `${JSON.stringify({ ...provenance(), reports }, null, 2)}\n`);
    }
  } finally {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  }
}
