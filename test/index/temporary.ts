import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A folder for one test file, removed when its tests have run; the function gives names in it that are free. */
export function temporaryFolder(): { root: string; fresh: () => string } {
  const root = mkdtempSync(join(tmpdir(), 'fles-index-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;
  return { root, fresh: () => join(root, `index-${count++}`) };
}
