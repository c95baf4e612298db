import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { FlesError } from '../errors';
import { type OpenPairsOptions, openPairs } from '../train/data/open-pairs';
import type { PairSource, TrainingExample } from '../train/data/pair-source';
import { addRequired } from './option-parsers';
import type { Session } from './terminal';

/** Options of commands that read training data. */
export interface DataOptions extends Pick<OpenPairsOptions, 'split' | 'corpus' | 'queries' | 'qrels'> {
  data: string[];
}

/** Adds `--data` and what says how to read it. */
export function addDataOptions(command: Command): Command {
  return addRequired(command, '--data <paths...>', 'training data: files or folders (docs/training-data.md)')
    .option('--split <name>', 'judgements to use of a folder in BEIR layout (default: train)')
    .option('--corpus <file>', 'documents: those that examples name by id, or what random negatives are drawn from')
    .option('--queries <file>', 'queries that examples name by id (default: found beside them)')
    .option('--qrels <file>', 'judgements for examples of ids (default: qrels.train.tsv beside them)');
}

/** Opens training data, showing how far it is and what there is to know about it. The caller closes it. */
export async function openData(
  paths: string | string[],
  { split, corpus, queries, qrels }: DataOptions,
  session: Session,
): Promise<PairSource> {
  const progress = session.progress('open', 'bytes');
  try {
    const source = await openPairs(paths, {
      split,
      corpus,
      queries,
      qrels,
      signal: session.signal,
      onProgress: (done, total) => progress.update(done, total),
    });
    for (const note of source.notes) session.note(note);
    return source;
  } finally {
    progress.stop();
  }
}

/** Names of files with texts and judgements that stand beside examples, or are the data themselves. */
const KNOWN_NAMES =
  /^(corpus\.jsonl|queries\.jsonl|collection\.tsv|queries(\.train)?\.tsv|qrels\.train\.tsv|qidpidtriples.*\.tsv)$/;

/** The files that reading training data may need: an output must be none of them. */
export async function filesOfData({ data, corpus, queries, qrels }: DataOptions, test?: string): Promise<string[]> {
  const folders = [...data, ...(test === undefined ? [] : [test])];
  const named = [corpus, queries, qrels].filter((path) => path !== undefined);
  return [...named, ...(await Promise.all(folders.map(filesOf))).flat()];
}

async function filesOf(path: string): Promise<string[]> {
  const status = await stat(path).catch(() => undefined);
  const folder = status?.isDirectory() ? path : dirname(path);
  const names = await readdir(folder).catch(() => []);
  const known = names.filter((name) => KNOWN_NAMES.test(name));
  if (!status?.isDirectory()) return [path, ...known.map((name) => join(folder, name))];
  // A folder that holds neither BEIR's nor MS MARCO's files is read as lines of examples, all of them.
  if (!known.includes('corpus.jsonl') && !known.includes('collection.tsv')) {
    return names.filter((name) => /\.(jsonl|ndjson)$/i.test(name)).map((name) => join(folder, name));
  }
  const judgements = await readdir(join(folder, 'qrels')).catch(() => []);
  return [...known, ...judgements.map((name) => join('qrels', name))].map((name) => join(folder, name));
}

/** What a line says of an example. */
export interface LineOptions {
  /** The scores, if the example has some. */
  scores: boolean;
  /** The ids of the texts instead of the texts. */
  idsAlone: boolean;
}

/** An example as a line of training data; with ids where the query has one. Throws `ERR_DATA_IDS` for ids that there are not. */
export function exampleLine(example: TrainingExample, options: LineOptions): string {
  const { query, positive, negatives, scores } = example;
  if (options.idsAlone && query.id === undefined) {
    throw new FlesError(
      'ERR_DATA_IDS',
      'the texts of the training data have no ids, which --ids writes in place of them; leave it out',
    );
  }
  const texts = { query: query.text, positive: positive.text, negatives: negatives.map(({ text }) => text) };
  const ids = { query: query.id, positive: positive.id, negatives: negatives.map(({ id }) => id) };
  const line = {
    ...(!options.idsAlone && texts),
    // JSON has no NaN: null stands for a score that there is not.
    ...(options.scores && scores && { scores: Array.from(scores) }),
    ...(query.id !== undefined && { ids }),
  };
  return `${JSON.stringify(line)}\n`;
}
