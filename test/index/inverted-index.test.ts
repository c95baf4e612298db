import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { InvertedIndex } from '../../lib/index/inverted-index';

const root = mkdtempSync(join(tmpdir(), 'fles-index-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;
const fresh = () => join(root, `index-${directories++}`);

test('x', async () => {
  const index = await InvertedIndex.build(fresh(), [
    { id: 'a', vector: { x: 1, y: 2 } },
    { id: 'b', vector: { x: 3 } },
    { id: 'c', vector: {} },
  ]);
  console.error(index.info);
  console.error(await index.search({ x: 1, y: 1.5, z: 4 }, { k: 10 }));
  expect(fc).toBeDefined();
  index.close();
});
