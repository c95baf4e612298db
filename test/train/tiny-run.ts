import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { TrainConfigChanges } from '../../lib/train/config';
import { createModel } from '../../lib/train/create-model';

const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

const ANIMALS = ['cat', 'dog', 'horse', 'owl', 'newt', 'carp', 'wasp', 'mole'];
const COLOURS = ['red', 'blue', 'green', 'white', 'black', 'brown', 'grey', 'pink'];

/** Pairs that can be learnt: a question about an animal of a colour, and a sentence about it. */
export const pairs = ANIMALS.flatMap((animal) =>
  COLOURS.map((colour) => ({
    query: `who saw the ${colour} ${animal}`,
    positive: `the ${animal} was ${colour} and it sat there`,
  })),
);

export interface TinyRun {
  folder: string;
  model: string;
  /** 64 pairs: 8 steps of 8 queries an epoch. */
  data: string;
  /** A data set in BEIR layout with a split dev. */
  dev: string;
  /** A configuration of 20 steps with this output. */
  config(output: string, changes?: TrainConfigChanges): TrainConfigChanges;
}

/** A model of some thousand parameters and data for it, in a folder that is gone after the test. */
export async function tinyRun(): Promise<TinyRun> {
  const folder = await mkdtemp(join(tmpdir(), 'fles-train-'));
  folders.push(folder);
  const [model, data, dev] = [join(folder, 'model'), join(folder, 'pairs.jsonl'), join(folder, 'dev')];
  const texts = pairs.flatMap(({ query, positive }) => [query, positive]);
  await createModel(model, {
    texts,
    vocabularySize: 120,
    hiddenSize: 16,
    layers: 1,
    heads: 2,
    maxPositions: 32,
    seed: 3,
  });
  await writeFile(data, jsonLines(pairs));
  await mkdir(join(dev, 'qrels'), { recursive: true });
  const kept = pairs.slice(0, 24);
  await writeFile(
    join(dev, 'corpus.jsonl'),
    jsonLines(kept.map(({ positive: text }, i) => ({ _id: `d${i}`, title: '', text }))),
  );
  await writeFile(join(dev, 'queries.jsonl'), jsonLines(kept.map(({ query: text }, i) => ({ _id: `q${i}`, text }))));
  const qrels = kept.map((_, i) => `q${i}\td${i}\t1\n`);
  await writeFile(join(dev, 'qrels', 'dev.tsv'), `query-id\tcorpus-id\tscore\n${qrels.join('')}`);
  return {
    folder,
    model,
    data,
    dev,
    config: (output, changes = {}) => ({
      model,
      output: join(folder, output),
      steps: 20,
      ...changes,
      data: { paths: [data], ...changes.data },
      batch: { queries: 8, negatives: 1, ...changes.batch },
      text: { queryLength: 16, documentLength: 16, ...changes.text },
      loss: { ...changes.loss, flops: { documents: 1e-3, queries: 1e-3, ...changes.loss?.flops } },
      clfr: { law: 'relative', target: 50, gain: 0.5, interval: 4, window: 2, ...changes.clfr },
      checkpoint: { every: 5, ...changes.checkpoint },
      log: { every: 3, ...changes.log },
    }),
  };
}

function jsonLines(values: readonly object[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}
