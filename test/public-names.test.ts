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

test('docs tell of every public name', () => {
  const folder = join(__dirname, '../docs');
  const pages = readdirSync(folder).filter((name) => name.endsWith('.md'));
  const docs = pages.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
  const names = Object.keys(fles);
  expect(names.length).toBeGreaterThan(40);
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(docs))).toEqual([]);
});
