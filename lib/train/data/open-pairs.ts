import { open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { FlesError, fileError } from '../../errors';
import { openBeirPairs } from './beir-pairs';
import { openIdTriples } from './id-triples';
import { joinPairs } from './joined-pairs';
import { checkRegular, type ScanOptions } from './line-file';
import { PairFile } from './pair-file';
import type { PairSource } from './pair-source';
import { TextStore } from './text-store';

export interface OpenPairsOptions extends ScanOptions {
  /** Split of folders in BEIR's layout, `train` by default. */
  split?: string;
  /**
   * File of documents, `.tsv` or `.jsonl`: the passages of id triples (by default `collection.tsv` beside them), and what random
   * negatives of examples that hold their texts are drawn from (by default the positives of the examples).
   */
  corpus?: string;
  /** File of the queries of id triples, by default `queries.train.tsv` or `queries.tsv` beside them. */
  queries?: string;
  /** Judgements for id triples, by default `qrels.train.tsv` beside them if it is there. */
  qrels?: string;
}

/**
 * Opens training data, telling its form by what is there; several paths follow one another as one source.
 *
 * | path | examples |
 * |---|---|
 * | `.jsonl`, `.ndjson` | lines of `{"query", "positive", "negatives"?}`: see `PairFile` |
 * | `.tsv` of texts | query, positive and any number of negatives between tabs |
 * | `.tsv` of three integers | MS MARCO's id triples, with collection and queries beside them: see `openIdTriples` |
 * | folder with `corpus.jsonl` | BEIR, the judgements of a split: see `openBeirPairs` |
 * | folder with `collection.tsv` | MS MARCO: its file `qidpidtriples*.tsv` |
 * | folder with `.jsonl` or `.ndjson` files | all of them, in the order of their names |
 *
 * Throws `ERR_DATA_FORMAT` for a path that is none of these, and what the readers named throw.
 */
export async function openPairs(
  paths: string | readonly string[],
  options: OpenPairsOptions = {},
): Promise<PairSource> {
  const list = typeof paths === 'string' ? [paths] : paths;
  if (list.length === 0) {
    throw new FlesError('ERR_DATA_FORMAT', 'no path of training data was given, expected 1 or more');
  }
  const sources: PairSource[] = [];
  let corpus: TextStore | undefined;
  const openCorpus: OpenCorpus = async () => {
    if (options.corpus !== undefined) corpus ??= await TextStore.open(options.corpus, { ...options, keys: 'text' });
    return corpus;
  };
  try {
    for (const path of list) {
      for (const open of await openersOf(path, options)) sources.push(await open(openCorpus));
    }
    return joinPairs(sources);
  } catch (error) {
    await Promise.all([corpus, ...sources].map((opened) => opened?.close()));
    throw error;
  }
}

/** The corpus that was asked for, opened once for all sources whose examples hold their texts. */
type OpenCorpus = () => Promise<TextStore | undefined>;
type Opener = (openCorpus: OpenCorpus) => Promise<PairSource>;

async function openersOf(path: string, options: OpenPairsOptions): Promise<Opener[]> {
  const status = await stat(path).catch((error) => {
    throw fileError(error, path);
  });
  if (!status.isDirectory()) return [await openerOfFile(path, options)];
  const names = (await readdir(path)).sort();
  if (names.includes('corpus.jsonl')) return [() => openBeirPairs(path, options.split ?? 'train', options)];
  if (names.includes('collection.tsv')) {
    const triples = names.filter((name) => /^qidpidtriples.*\.tsv$/.test(name));
    if (triples.length === 1) return [() => openTriplesOf(join(path, triples[0]!), options)];
    throw new FlesError(
      'ERR_DATA_FORMAT',
      `${path} has ${triples.length} files qidpidtriples*.tsv beside collection.tsv, expected 1; give the path of the file itself`,
    );
  }
  const files = names.filter((name) => isJsonLines(name));
  if (files.length === 0) {
    throw new FlesError(
      'ERR_DATA_FORMAT',
      `${path} has no corpus.jsonl, no collection.tsv and no other .jsonl file, expected training data; see docs/training-data.md`,
    );
  }
  return files.map((name) => pairFileOpener(join(path, name), 'jsonl', options));
}

async function openerOfFile(path: string, options: OpenPairsOptions): Promise<Opener> {
  if (isJsonLines(path)) return pairFileOpener(path, 'jsonl', options);
  if (extname(path).toLowerCase() !== '.tsv') {
    throw new FlesError(
      'ERR_DATA_FORMAT',
      `${path} is named ${JSON.stringify(extname(basename(path)))}, expected .jsonl, .ndjson or .tsv (unpacked), or a folder; see docs/training-data.md`,
    );
  }
  if (await holdsIds(path)) return () => openTriplesOf(path, options);
  return pairFileOpener(path, 'tsv', options);
}

function isJsonLines(name: string): boolean {
  return /\.(jsonl|ndjson)$/i.test(name);
}

function pairFileOpener(path: string, format: 'jsonl' | 'tsv', { signal, onProgress }: OpenPairsOptions): Opener {
  return async (openCorpus) => PairFile.open(path, format, { signal, onProgress, corpus: await openCorpus() });
}

async function openTriplesOf(path: string, options: OpenPairsOptions): Promise<PairSource> {
  const beside = async (names: string[]) => {
    const there = new Set(await readdir(dirname(path)));
    const name = names.find((candidate) => there.has(candidate));
    return name === undefined ? undefined : join(dirname(path), name);
  };
  const needed = async (option: 'corpus' | 'queries', names: string[]) => {
    const found = options[option] ?? (await beside(names));
    if (found !== undefined) return found;
    throw new FlesError(
      'ERR_DATA_FORMAT',
      `${path} holds ids, and ${names.join(' or ')}, which has their texts, is not beside it; name it with the option "${option}"`,
    );
  };
  return openIdTriples(
    {
      triples: path,
      collection: await needed('corpus', ['collection.tsv']),
      queries: await needed('queries', ['queries.train.tsv', 'queries.tsv']),
      qrels: options.qrels ?? (await beside(['qrels.train.tsv'])),
    },
    options,
  );
}

/** Whether the first line is three integers. */
async function holdsIds(path: string): Promise<boolean> {
  await checkRegular(path);
  const file = await open(path, 'r').catch((error) => {
    throw fileError(error, path);
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
    return /^\s*\d+\t\d+\t\d+\r?(\n|$)/.test(buffer.toString('latin1', 0, bytesRead));
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await file.close();
  }
}
