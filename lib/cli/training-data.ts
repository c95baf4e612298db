import type { Command } from 'commander';
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
    .option('--corpus <file>', 'documents: passages of id triples, or what random negatives are drawn from')
    .option('--queries <file>', 'queries of id triples (default: queries.train.tsv beside them)')
    .option('--qrels <file>', 'judgements of id triples (default: qrels.train.tsv beside them)');
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

/** An example as a line of training data; with ids where the query has one, and with scores if asked for. */
export function exampleLine({ query, positive, negatives, scores }: TrainingExample, withScores: boolean): string {
  const example = {
    query: query.text,
    positive: positive.text,
    negatives: negatives.map(({ text }) => text),
    // JSON has no NaN: null stands for a score that there is not.
    ...(withScores && scores && { scores: Array.from(scores) }),
    ...(query.id !== undefined && {
      ids: { query: query.id, positive: positive.id, negatives: negatives.map(({ id }) => id) },
    }),
  };
  return `${JSON.stringify(example)}\n`;
}
