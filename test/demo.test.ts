import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readBeir } from '../lib/eval/beir';
import { makeConfig, readConfigFile } from '../lib/train/config';

const folder = mkdtempSync(join(tmpdir(), 'fles-demo-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the dictionary of the demo is held out by entries: none that is searched for is in a pair', async () => {
  // @ts-expect-error a script without types
  const { writeDictionary } = await import('../scripts/demo/dictionary.mjs');
  const texts: string[] = writeDictionary(folder);
  const pairs = readFileSync(join(folder, 'pairs.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(texts).toHaveLength(2 * pairs.length);
  expect(pairs[0]).toEqual({
    query: 'it was full of rackets, balls and other objects',
    positive: 'object, physical object: a tangible and visible entity; an entity that can cast a shadow',
  });
  const positives = new Set(pairs.map(({ positive }) => positive));
  const judged: string[][] = [];
  for (const split of ['dev', 'test']) {
    const data = await readBeir(folder, split);
    for await (const { text } of data.documents()) expect(positives.has(text)).toBe(false);
    judged.push([...data.qrels.keys()]);
  }
  expect(judged[0]!.length).toBeGreaterThan(1000);
  expect(judged[1]!.length).toBeGreaterThan(1000);
  expect(judged[0]!.filter((query) => judged[1]!.includes(query))).toEqual([]);
});

test('the recipe of the demo is a configuration under control', async () => {
  const { clfr } = makeConfig(undefined, await readConfigFile(join(__dirname, '../scripts/demo/recipe.json')));
  expect(clfr).toMatchObject({ law: 'pi', target: 150 });
});
