import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { checkKeys, checkString, checkStrings, show } from '../../check';
import { FlesError, fileError } from '../../errors';
import { readLines } from '../../text/lines';
import { openBeirPairs } from './beir-pairs';
import { openIdFile } from './id-file';
import { joinPairs } from './joined-pairs';
import { checkPlain, type ScanOptions } from './line-file';
import { PairFile } from './pair-file';
import type { PairSource } from './pair-source';
import { TextStore } from './text-store';

export interface OpenPairsOptions extends ScanOptions {
  /** Split of folders in BEIR's layout, `train` by default. */
  split?: string;
  /**
   * File of documents, `.tsv` or `.jsonl`: those that examples name by id (by default `collection.tsv` or `corpus.jsonl` beside
   * them), and what random negatives of examples that hold their texts are drawn from (by default the positives of the examples).
   */
  corpus?: string;
  /** File of the queries that examples name by id, by default `queries.train.tsv`, `queries.tsv` or `queries.jsonl` beside them. */
  queries?: string;
  /** Judgements for examples of ids, by default `qrels.train.tsv` beside them if it is there. */
  qrels?: string;
}

/**
 * Opens training data, telling its form by what is there; several paths follow one another as one source.
 *
 * | path | examples |
 * |---|---|
 * | `.jsonl`, `.ndjson` | lines of `{"query", "positive", "negatives"?}`: see `PairFile` |
 * | `.tsv` of texts | query, positive and any number of negatives between tabs |
 * | `.tsv` of three integers | MS MARCO's id triples, with collection and queries beside them: see `openIdFile` |
 * | `.jsonl`, `.ndjson` of `{"ids"}` without texts | the same as JSON lines |
 * | folder with `corpus.jsonl` | BEIR, the judgements of a split: see `openBeirPairs` |
 * | folder with `collection.tsv` | MS MARCO: its file `qidpidtriples*.tsv` |
 * | folder with `.jsonl` or `.ndjson` files | all of them, in the order of their names |
 *
 * Throws `ERR_DATA_FORMAT` for a path that is none of these, `ERR_ARGUMENT_TYPE`, `ERR_OPTION_*`, and what the readers named throw.
 */
export async function openPairs(
  paths: string | readonly string[],
  options: OpenPairsOptions = {},
): Promise<PairSource> {
  checkKeys(options, ['split', 'corpus', 'queries', 'qrels', 'signal', 'onProgress']);
  for (const name of ['split', 'corpus', 'queries', 'qrels'] as const) {
    if (options[name] !== undefined) checkString(name, options[name]);
  }
  const list = typeof paths === 'string' ? [paths] : checkStrings('paths', paths);
  if (list.length === 0) {
    throw new FlesError('ERR_DATA_FORMAT', 'no path of training data was given, expected 1 or more');
  }
  const sources: PairSource[] = [];
  let corpus: TextStore | undefined;
  await refuseUnused(list, options);
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

/** Folders in BEIR layout have files of their own: options that name others would do nothing. */
async function refuseUnused(paths: readonly string[], options: OpenPairsOptions): Promise<void> {
  const given = (['corpus', 'queries', 'qrels'] as const).find((name) => options[name] !== undefined);
  if (given === undefined) return;
  const found = await Promise.all(paths.map((path) => stat(join(path, 'corpus.jsonl')).catch(() => undefined)));
  if (!found.every(Boolean)) return;
  throw new FlesError(
    'ERR_OPTION_VALUE',
    `${given} is ${show(options[given])}, but ${paths[0]} is a folder in BEIR layout, which has its own; leave ${given} out`,
  );
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
    if (triples.length === 1) return [() => openIds(join(path, triples[0]!), 'tsv', options)];
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
  return Promise.all(files.map((name) => openerOfFile(join(path, name), options)));
}

async function openerOfFile(path: string, options: OpenPairsOptions): Promise<Opener> {
  const isJson = isJsonLines(path);
  if (!isJson && extname(path).toLowerCase() !== '.tsv') {
    throw new FlesError(
      'ERR_DATA_FORMAT',
      `${path} is named ${JSON.stringify(extname(basename(path)))}, expected .jsonl, .ndjson or .tsv (unpacked), or a folder; see docs/training-data.md`,
    );
  }
  const format = isJson ? 'jsonl' : 'tsv';
  const first = await firstLine(path);
  if (isJson ? isIdRecord(first) : /^\d+\t\d+\t\d+$/.test(first)) return () => openIds(path, format, options);
  return async (openCorpus) => {
    const { signal, onProgress } = options;
    return PairFile.open(path, format, { signal, onProgress, corpus: await openCorpus() });
  };
}

function isJsonLines(name: string): boolean {
  return /\.(jsonl|ndjson)$/i.test(name);
}

async function openIds(path: string, format: 'tsv' | 'jsonl', options: OpenPairsOptions): Promise<PairSource> {
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
  const files = {
    examples: path,
    corpus: await needed('corpus', ['collection.tsv', 'corpus.jsonl']),
    queries: await needed('queries', ['queries.train.tsv', 'queries.tsv', 'queries.jsonl']),
    qrels: options.qrels ?? (await beside(['qrels.train.tsv'])),
  };
  return openIdFile(files, format, { signal: options.signal, onProgress: options.onProgress });
}

/** The first line of a file that is not blank, empty when there is none. */
async function firstLine(path: string): Promise<string> {
  await checkPlain(path);
  for await (const { text } of readLines(path)) if (text.trim() !== '') return text;
  return '';
}

/** Whether a line is an object that names its texts by id instead of holding them. */
function isIdRecord(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'ids' in value && !('query' in value || 'positive' in value);
  } catch {
    // Whoever reads the line as an example says what is wrong with it.
    return false;
  }
}
