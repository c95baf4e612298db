import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { readBeir } from '../lib/eval/beir';
import { locate } from './support/fixtures';

const examples = join(__dirname, '../examples');
const tinyModel = join(__dirname, 'fixtures/models/bert-odd');
if (!existsSync(join(__dirname, '../dist/index.js'))) throw new Error('dist is missing: run "npm run build" first');

/** What each program prints with a random model, and what else with a trained one. */
const PROGRAMS: Record<string, { args?: string[]; prints: RegExp; trained?: RegExp }> = {
  'encode-and-explain.mjs': {
    prints: /^heaviest terms of the document:\n( {2}\S+ +\d\.\d{3}\n){8}score \d+\.\d{3}, made of:\n/,
    trained: /made of:\n {2}blue /,
  },
  'index-and-search.mjs': {
    prints:
      /^200 documents, \d+ postings, \d+ bytes\nquery: how do bees find food\n( {2}\d+\.\d{3} {2}d\d{3} {2}.+\n){5}$/,
    trained: /find food\n.*A circle for what is near\n/,
  },
  'stream-encode.mjs': {
    args: [join(examples, 'README.md')],
    prints: /^\d+ texts, \d+\.\d terms a text\n$/,
  },
  'worker-threads.cjs': {
    prints: /^red wine: heaviest term \S+\nwhite wine: .*\ngreen tea: .*\nblack coffee: .*\n$/,
    trained: /red wine: heaviest term red\n.*\ngreen tea: heaviest term tea\n/,
  },
  'evaluate-a-run.mjs': {
    prints: /^flat +nDCG@10 0\.6\d{3} {2}Recall@100 0\.\d{4}\nmultifield .*\ndifference +0\.0\d{3}, p = 0\.0\d\d\n$/,
  },
};

async function run(program: string, model: string): Promise<string> {
  const args = [join(examples, program), model, ...(PROGRAMS[program]!.args ?? [])];
  const env = { ...process.env, FLES_NUM_THREADS: '1' };
  return (await promisify(execFile)(process.execPath, args, { env })).stdout;
}

test('every example program is run here', () => {
  const programs = readdirSync(examples).filter((name) => /\.[cm]js$/.test(name));
  expect(programs.sort()).toEqual(Object.keys(PROGRAMS).sort());
});

test.each(Object.keys(PROGRAMS))('examples/%s runs', async (program) => {
  expect(await run(program, tinyModel)).toMatch(PROGRAMS[program]!.prints);
});

test('examples/stream-encode.mjs has a mean of no texts', async () => {
  const args = [join(examples, 'stream-encode.mjs'), tinyModel, '/dev/null'];
  expect((await promisify(execFile)(process.execPath, args)).stdout).toBe('0 texts, 0.0 terms a text\n');
});

const models = locate('FLES_MODELS', 'splade-tiny');
const trained = Object.keys(PROGRAMS).filter((name) => PROGRAMS[name]!.trained);
test.skipIf(!models.found).each(trained)(
  `examples/%s makes sense with a trained model${models.reason}`,
  async (program) => {
    expect(await run(program, join(models.directory, 'splade-tiny'))).toMatch(PROGRAMS[program]!.trained!);
  },
);

describe('the library collection', () => {
  const directory = join(examples, 'library');
  const lines = (name: string) => readFileSync(join(directory, name), 'utf8').trim().split('\n');

  test('has 200 different texts of 30 to 80 words with different titles', async () => {
    const documents = lines('corpus.jsonl').map((line) => JSON.parse(line) as Record<'_id' | 'title' | 'text', string>);
    expect(documents).toHaveLength(200);
    for (const field of ['_id', 'title', 'text'] as const) {
      expect(new Set(documents.map((document) => document[field])).size).toBe(200);
    }
    for (const { _id, text } of documents) {
      const words = text.split(/\s+/).length;
      expect(words >= 30 && words <= 80, `${_id} has ${words} words`).toBe(true);
    }
  });

  test('has 30 queries with several relevant documents and a near miss each', async () => {
    const { qrels, queries, documents } = await readBeir(directory, 'test');
    const ids = new Set<string>();
    for await (const { id } of documents()) ids.add(id);
    expect([queries.size, lines('queries.jsonl').length]).toEqual([30, 30]);
    for (const judged of qrels.values()) {
      const grades = [...judged.values()];
      expect(grades.filter((grade) => grade === 2).length).toBeGreaterThanOrEqual(2);
      expect(grades.filter((grade) => grade === 0).length).toBeGreaterThanOrEqual(1);
      expect(grades.every((grade) => [0, 1, 2].includes(grade))).toBe(true);
      expect([...judged.keys()].filter((id) => !ids.has(id))).toEqual([]);
    }
  });
});
