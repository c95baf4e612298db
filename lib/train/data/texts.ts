import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../../model/modules';
import { readJsonLines } from '../../text/lines';
import { joinPools } from './joined-pairs';
import { checkPlain } from './line-file';
import { type OpenPairsOptions, openPairs } from './open-pairs';
import type { DocumentPool } from './pair-source';
import { TextStore } from './text-store';

/** Texts alone, of any training data. */
export interface Texts {
  pool: DocumentPool;
  /** Hash of the content of its files. */
  fingerprint: string;
  close(): Promise<void>;
}

/**
 * Opens the texts of training data: lines of `{"text"}` with or without an id and the corpora of folders, one path after the other,
 * then the documents of pairs.
 *
 * Throws what `TextStore.open` and `openPairs` throw.
 */
export async function openTexts(paths: readonly string[], options: OpenPairsOptions): Promise<Texts> {
  const opened: Texts[] = [];
  try {
    const pairs: string[] = [];
    for (const path of paths) {
      const corpus = await corpusAt(path);
      if (corpus === undefined) pairs.push(path);
      else {
        const store = await TextStore.open(corpus, { signal: options.signal, keys: 'none' });
        opened.push({ pool: store, fingerprint: store.fingerprint, close: () => store.close() });
      }
    }
    if (pairs.length > 0 || paths.length === 0) {
      const source = await openPairs(pairs, options);
      opened.push({ pool: source.pool, fingerprint: source.fingerprint, close: () => source.close() });
    }
    return joinTexts(opened);
  } catch (error) {
    await Promise.all(opened.map((texts) => texts.close()));
    throw error;
  }
}

function joinTexts(parts: readonly Texts[]): Texts {
  if (parts.length === 1) return parts[0]!;
  return {
    pool: joinPools(parts.map(({ pool }) => pool)),
    fingerprint: createHash('sha256')
      .update(parts.map(({ fingerprint }) => fingerprint).join())
      .digest('hex'),
    close: async () => {
      await Promise.all(parts.map((part) => part.close()));
    },
  };
}

/** The file of documents that a path is or holds, if it does. */
async function corpusAt(path: string): Promise<string | undefined> {
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory()) {
    for (const name of ['corpus.jsonl', 'collection.tsv']) if (await exists(join(path, name))) return join(path, name);
    return undefined;
  }
  if (!status || !/\.(jsonl|ndjson)$/i.test(path)) return undefined;
  await checkPlain(path);
  for await (const { value } of readJsonLines(path)) return 'text' in value ? path : undefined;
  return undefined;
}
