import { access, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkObject, checkString } from '../check';
import { FlesError, fileError } from '../errors';
import { LargeMap } from '../large-map';
import { checkNewId, idField, type LineOptions, type LineSource, readJsonLines, stringField } from '../text/lines';
import type { Qrels } from './ranking';
import { readQrels } from './trec';

export interface BeirDocument {
  id: string;
  /** Empty when the record has none. */
  title: string;
  text: string;
}

/** A split of a data set in BEIR's layout. */
export interface BeirDataset {
  directory: string;
  split: string;
  /** Judgements of the split. */
  qrels: Qrels;
  /** Texts of the judged queries by id, in the order of the judgements. */
  queries: Map<string, string>;
  /** The corpus, read anew from the disk on every call, one document at a time. */
  documents(options?: Pick<LineOptions, 'signal'>): AsyncGenerator<BeirDocument>;
}

/** What encoders see of a document: title and text in one. */
export function documentText(document: Pick<BeirDocument, 'title' | 'text'>): string {
  const { title, text } = checkObject('the document', document, 'an object with title and text', ['title', 'text']);
  return `${title} ${text}`.trim();
}

/**
 * Opens a folder in BEIR's layout (Thakur et al. 2021, arXiv:2104.08663): `corpus.jsonl` (`_id`, `title`, `text`),
 * `queries.jsonl` (`_id`, `text`) and `qrels/SPLIT.tsv`. Judgements and queries are read now, the corpus when asked for.
 * Documents that are judged but not in the corpus are allowed; they count as relevant and not found.
 *
 * Throws `ERR_SPLIT_NOT_FOUND` naming the splits that exist, `ERR_QUERY_NOT_FOUND` for a judged query without text, and
 * what `readQrels` and `readTexts` throw.
 */
export async function readBeir(directory: string, split: string): Promise<BeirDataset> {
  checkString('the directory', directory);
  const qrels = await readQrels(await qrelsPath(directory, checkString('split', split)));
  const path = join(directory, 'queries.jsonl');
  const texts = new Map<string, string>();
  for await (const { id, text } of readTexts(path)) texts.set(id, text);
  const queries = new Map<string, string>();
  for (const id of qrels.keys()) {
    const text = texts.get(id);
    if (text === undefined) {
      throw new FlesError(
        'ERR_QUERY_NOT_FOUND',
        `${path} has no query ${id}, which qrels/${split}.tsv judges; add it or remove its judgements`,
      );
    }
    queries.set(id, text);
  }
  const documents = (options?: Pick<LineOptions, 'signal'>) => readTexts(join(directory, 'corpus.jsonl'), options);
  return { directory, split, qrels, queries, documents };
}

/**
 * The records of a corpus or a file of queries, one JSON object a line: `_id` (or `id`), `text` and, if it is there,
 * `title` (null counts as absent). An id may be an integer. Other fields are ignored.
 *
 * Throws `ERR_ID_DUPLICATE` for an id that comes a second time, `ERR_RECORD_FIELD`, and what `readJsonLines` throws.
 */
export async function* readTexts(source: LineSource, options: LineOptions = {}): AsyncGenerator<BeirDocument> {
  const seen = new LargeMap<true>();
  for await (const line of readJsonLines(source, options)) {
    const id = idField(line, '_id' in line.value || !('id' in line.value) ? '_id' : 'id');
    checkNewId(seen, id, line);
    const title = (line.value.title ?? null) === null ? '' : stringField(line, 'title');
    yield { id, title, text: stringField(line, 'text') };
  }
}

/** Where the judgements of a split are. Throws `ERR_SPLIT_NOT_FOUND` naming the splits that exist, `ERR_FILE_*` without the folder. */
export async function qrelsPath(directory: string, split: string): Promise<string> {
  const path = join(directory, 'qrels', `${split}.tsv`);
  try {
    await access(path);
  } catch (error) {
    const status = await stat(directory).catch((missing) => {
      throw fileError(missing, directory);
    });
    if (!status.isDirectory()) {
      throw new FlesError('ERR_FILE_KIND', `${directory} is a file, expected a folder in BEIR's layout`);
    }
    const splits = await readdir(join(directory, 'qrels')).catch(() => []);
    const known = splits.filter((file) => file.endsWith('.tsv')).map((file) => file.slice(0, -4));
    throw new FlesError(
      'ERR_SPLIT_NOT_FOUND',
      known.length > 0
        ? `${directory} has no split "${split}", expected one of ${known.sort().join(', ')}`
        : `${directory} has no qrels/*.tsv, expected a folder in BEIR's layout (corpus.jsonl, queries.jsonl, qrels/${split}.tsv)`,
      { cause: error },
    );
  }
  return path;
}
