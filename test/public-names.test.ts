import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as fles from '../lib';

// Types that signatures use must have public names: this does not compile without one.
export type Named = [
  fles.Activation,
  fles.ConfigLayer,
  fles.DataType,
  fles.DensePooling,
  fles.LineOptions,
  fles.LineSource,
  fles.SpecialTokens,
  fles.WeightType,
];

test('docs tell of every public name, those of types too', () => {
  const folder = join(__dirname, '../docs');
  const pages = readdirSync(folder).filter((name) => name.endsWith('.md'));
  const docs = pages.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
  const lists = ['index.ts', 'eval/index.ts', 'train/data/index.ts'].map((path) => {
    const text = readFileSync(join(__dirname, '../lib', path), 'utf8');
    return [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].map(([, list]) => list!).join(',');
  });
  const listed = lists
    .join(',')
    .split(',')
    .map((name) => name.trim().replace(/^type /, ''));
  const names = [...new Set([...Object.keys(fles), ...listed.filter((name) => name !== '')])];
  expect(names.length).toBeGreaterThan(120);
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(docs))).toEqual([]);
});
