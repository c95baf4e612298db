import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../cli/temporary';

test('a hundred times the passages take a fraction of their size more memory', async () => {
  const folder = await temporaryFolder();
  const json = join(folder, 'report.json');
  const script = join(__dirname, '../../../bench/training-data.mjs');
  const size = ['--passages', '250000', '--triples', '500000', '--steps', '5'];
  await promisify(execFile)(process.execPath, [script, ...size, '--folder', folder, '--json', json]);
  const { reports } = JSON.parse(await readFile(json, 'utf8'));
  const [small, large] = reports;
  expect([small.passages, large.passages]).toEqual([2500, 250_000]);
  expect(large.files).toBeGreaterThan(100e6);
  // What grows is 8 bytes a line and some 20 a query, 7 MB here; the heap of a longer scan and noise are the rest.
  expect(large.peakMb - small.peakMb).toBeLessThan(50);
}, 180_000);
