// Writes docs/performance.md from the results of `npm run bench:encode` and `npm run bench:kernels`, or a page like it for another
// machine, whose kernels may be left out.
//
//   node bench/performance.mjs ENCODE.json [ENCODE.json ...] [KERNELS.json] > docs/performance.md
//
// Sections that a later run of the encoder has measured again take the place of the earlier ones.
import { readFileSync } from 'node:fs';

const runs = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')));
const kernels = runs.find(({ cases }) => cases);
const encoders = runs.filter(({ sections }) => sections);
const [encode] = encoders;
const measured = ([, rows]) => !Array.isArray(rows) || rows.length > 0;
const sections = Object.fromEntries(encoders.flatMap(({ sections }) => Object.entries(sections).filter(measured)));
const lines = [];
const say = (...more) => lines.push(...more);
const table = (header, rows) =>
  say(
    `| ${header.join(' | ')} |`,
    `|${header.map((_, i) => (i === 0 ? '---|' : '---:|')).join('')}`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
  );
const percent = (share) => `${Math.round(100 * share)}%`;
const share = ({ median, low, high }) => `${percent(median)} (${percent(low)}..${percent(high)})`;
const spread = ({ median, low, high }, digits = 2) =>
  `${median.toFixed(digits)} (${low.toFixed(digits)}..${high.toFixed(digits)})`;

/** One table of a section: a row a case, a column a contender, ratios with their spread. */
function comparison(rows, title) {
  const own = ['bfloat16', 'int8'].filter((name) => name in rows[0].contenders);
  const rivals = Object.keys(rows[0].contenders).filter((name) => name !== 'fles' && !own.includes(name));
  const faster = (name) => `fles${/-(bfloat16|int8)$/.exec(name)?.[0].replace('-', ' ') ?? ''} is x faster`;
  const header = [
    title,
    'fles, texts/s',
    ...(rows[0].gflop ? ['of the peak'] : []),
    ...own.flatMap((name) => [`fles ${name}, texts/s`, 'x float32']),
    ...rivals.flatMap((name) => [`${name}, texts/s`, faster(name)]),
  ];
  return [
    header,
    (row, label) => [
      label,
      row.contenders.fles.textsPerSecond.toFixed(2),
      ...(row.gflop ? [share(row.contenders.fles.ofPeak)] : []),
      ...own.flatMap((name) => {
        const { textsPerSecond } = row.contenders[name];
        return [textsPerSecond.toFixed(2), (textsPerSecond / row.contenders.fles.textsPerSecond).toFixed(2)];
      }),
      ...rivals.flatMap((name) => {
        const rival = row.contenders[name];
        return [rival.textsPerSecond.toFixed(2), spread(rival.flesIsFaster)];
      }),
    ],
  ];
}

say(
  '# Performance',
  '',
  'Made by `bench/performance.mjs` from these runs:',
  '',
  ...runs.map(
    (run) => `- \`${run.command}\`, ${run.date.slice(0, 10)}, commit ${run.commit?.slice(0, 12)}, Node ${run.node}`,
  ),
  '',
  ...(encoders.length > 1 ? ['Of a section that two of them have, the later one is shown.', ''] : []),
  `Machine: ${encode.cpu}, ${encode.cores} cores, ${encode.memoryGb} GB, CPU level \`${encode.cpuLevel}\`, ${encode.threads} threads; measured ` +
    `${encode.roofline.gflops.toFixed(0)} GFLOP/s of float32 multiply-adds and ${encode.roofline.gbytes.toFixed(1)} GB/s read from memory. It is shared, and its speed drifts ` +
    "by up to a factor of two: contenders take turns round by round, each after a rest in which the threads of the one before stop spinning and, where a call is short, after one call to warm up; ratios are medians of the ratios round by round with their quartiles, and the peak that a share is of is the processor's at as many multiply-adds on registers, in the same rounds.",
  '',
  `BERT-base with the sparse head, ${encode.weights} weights${
    encode.vocabulary
      ? ' that give documents as many terms as trained ones do (shares of the peak count the whole projection to the vocabulary, of which the screen of encoding.md spares fles a part)'
      : ''
  }; float32 where no type is named. fles starts from texts, the others from token ids, in batches padded to their longest text.` +
    (encode.cpuSixteenBits === 'int16'
      ? ' Where bfloat16 is named, fles multiplies whole numbers of 16 bits, which are faster on this processor (encoding.md).'
      : ''),
  '',
);
if (sections.fixed) {
  say('## Texts of one length', '');
  const [header, cells] = comparison(sections.fixed, 'tokens x texts');
  table(
    header,
    sections.fixed.map((row) => cells(row, `${row.length} x ${row.batch}`)),
  );
}
if (sections.documents) {
  say(
    '## Documents as they are',
    '',
    `${sections.documents[0].documents} documents of NFCorpus, cut at 256 tokens${
      sections.documents[0].terms
        ? `: ${sections.documents[0].tokens.toFixed(0)} tokens (${encode.vocabulary}) and ${sections.documents[0].terms.toFixed(0)} terms each`
        : ''
    }.`,
    '',
  );
  const [header, cells] = comparison(sections.documents, 'batch size');
  table(
    header,
    sections.documents.map((row) => cells(row, String(row.batch))),
  );
}
if (sections.query) {
  say('## One query of 8 tokens', '', 'Loaded: every core also runs an endless loop.', '');
  const names = Object.keys(sections.query[0].contenders);
  table(
    ['', ...names.flatMap((name) => [`${name} p50, ms`, 'p99'])],
    sections.query.map((row) => [
      row.load,
      ...names.flatMap((name) => [row.contenders[name].p50.toFixed(1), row.contenders[name].p99.toFixed(1)]),
    ]),
  );
}
if (sections.memory) {
  say('## Peak memory, 32 texts of 256 tokens', '');
  const peaks = Object.entries(sections.memory.peakMb);
  table(
    peaks.map(([name]) => `${name}, MB`),
    [peaks.map(([, mb]) => mb.toFixed(0))],
  );
}
if (sections.load) {
  say('## Process start to first vector, file cache warm', '');
  const contenders = Object.entries(sections.load.contenders);
  table(
    contenders.map(([name]) => `${name}, s`),
    [contenders.map(([, { milliseconds }]) => (milliseconds.median / 1000).toFixed(2))],
  );
}
if (sections.real?.length) {
  say(
    '## Real models',
    '',
    `${sections.real[0].documents} documents of NFCorpus, cut at 256 tokens, in float32; each contender from texts, in batches of 32 sorted by length.`,
    '',
  );
  const [header, cells] = comparison(sections.real, 'model');
  table(
    header,
    sections.real.map((row) => cells(row, row.model)),
  );
}
if (kernels) {
  say(
    '## Kernels',
    '',
    'Medians with quartiles; the peak is that of the CPU level: as many multiply-adds on registers before each sample, shares are medians of the ratios pair by pair.',
    '',
  );
  table(
    ['kernel', 'ms', 'rate', 'of the peak'],
    kernels.cases.map((row) => [
      row.name,
      spread(row.milliseconds),
      row.gflops ? `${row.gflops.toFixed(0)} GFLOP/s` : `${row.gbytes.toFixed(1)} GB/s`,
      row.ofPeak ? share(row.ofPeak) : '',
    ]),
  );
}
console.log(lines.join('\n').trimEnd());
