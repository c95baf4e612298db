import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SparseSearcherFactory } from './systems';

/** Builds the indexes of a comparison in a folder under `directory` that is removed when the search is over. */
export function indexesIn(directory: string, signal?: AbortSignal): SparseSearcherFactory {
  return async (documents, ids) => {
    // Loaded here, for the native addon comes with it: BM25 works without.
    const { InvertedIndex } = await import('../index/inverted-index.js');
    const folder = await mkdtemp(join(directory, '.index-'));
    const remove = () => rm(folder, { recursive: true, force: true });
    try {
      const rows = ids.map((id, i) => ({ id, vector: documents.row(i) }));
      const index = await InvertedIndex.build(folder, rows, { signal });
      return {
        bytes: { ...index.info.bytes },
        search: (queries, k) => index.searchBatch([...queries], { k, signal }),
        close: () => {
          index.close();
          return remove();
        },
      };
    } catch (error) {
      await remove();
      throw error;
    }
  };
}
