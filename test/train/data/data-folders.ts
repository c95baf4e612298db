import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type OpenPairsOptions, openPairs, type PairSource } from '../../../lib/train/data';
import { temporaryFolder } from '../../cli/temporary';

/** A folder with these files. */
export async function folder(files: Record<string, string>): Promise<string> {
  const directory = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), content);
  }
  return directory;
}

export const jsonLines = (...values: object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

/** Opens one of the files of a folder, or the folder itself for ''. */
export async function open(files: Record<string, string>, name: string, options?: OpenPairsOptions) {
  return openPairs(join(await folder(files), name), options);
}

/** All examples as arrays of texts: query, positive, negatives. */
export async function texts(source: PairSource) {
  const examples = await source.examples(Array.from({ length: source.size }, (_, i) => i));
  return examples.map(({ query, positive, negatives }) => [query, positive, ...negatives].map(({ text }) => text));
}

export async function poolTexts({ pool }: PairSource) {
  return (await pool.documents(Array.from({ length: pool.size }, (_, i) => i))).map(({ text }) => text);
}

/** Whether each document of the pool is known to answer the query of each example. */
export async function positiveTable(source: PairSource) {
  const examples = await source.examples(Array.from({ length: source.size }, (_, i) => i));
  const pool = await source.pool.documents(Array.from({ length: source.pool.size }, (_, i) => i));
  return examples.map(({ query }) => pool.map(({ key }) => Number(source.isPositive(query.key, key))).join(''));
}

export const BEIR = {
  'corpus.jsonl': jsonLines(
    { _id: 'd1', title: 'Bees', text: 'They fly.' },
    { _id: 'd2', title: '', text: 'Ants walk.' },
    { _id: 'd3', text: 'Worms crawl.' },
  ),
  'queries.jsonl': jsonLines(
    { _id: 'q1', text: 'what flies' },
    { _id: 'q2', text: 'unjudged' },
    { _id: 7, text: 'moves' },
  ),
  'qrels/train.tsv': 'query-id\tcorpus-id\tscore\nq1\td1\t2\n7\td2\t1\n7\td3\t0\n7\td1\t1\n',
  'qrels/dev.tsv': 'query-id\tcorpus-id\tscore\nq2\td3\t1\n',
};

export const MARCO = {
  'collection.tsv': '0\tzero\n1\tone\n2\ttwo\n3\tthree\n',
  'queries.train.tsv': '11\televen\n5\tfive\n8\teight\n',
  'qidpidtriples.train.full.2.tsv': '5\t0\t3\n11\t1\t2\n5\t0\t1\n',
};
