import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeConfig } from '../../lib/train/config';
import { writeTrainReport } from '../../lib/train/report';
import type { LogLine } from '../../lib/train/run-log';
import { temporaryFolder } from '../cli/temporary';

/** A log of 3,000 lines whose documents have `terms` terms. */
async function run(folder: string, name: string, law: 'none' | 'relative', terms: number): Promise<string> {
  const config = makeConfig('v12b', {
    source: 'test',
    changes: { clfr: { law, target: 120 }, model: 'a</script><b>' },
  });
  const begin: LogLine = { kind: 'run', step: 0, time: 0, steps: 3000, resumed: false, config, fles: '1' };
  const steps = Array.from({ length: 3000 }, (_, i): LogLine => {
    return {
      kind: 'step',
      step: i + 1,
      time: 0,
      epoch: 0,
      loss: 1,
      terms: { infoNCE: { value: 2, weight: 1, gradientNorm: 1 } },
      nnz: { documents: terms, queries: 9 },
      lambda: { documents: 1e-3, queries: 1e-3 },
      rate: 1e-5,
      gradientNorm: 1,
      examplesPerSecond: 50,
      seconds: {},
      bytes: 1,
      headBytes: 1,
    };
  });
  await mkdir(join(folder, name));
  await writeFile(
    join(folder, name, 'metrics.jsonl'),
    [begin, ...steps].map((line) => JSON.stringify(line)).join('\n'),
  );
  return join(folder, name);
}

/** What the page draws. */
function drawn(page: string) {
  const [, text] = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(text!) as {
    plots: { title: string; lines: { label: string; values: number[]; dashed?: boolean }[] }[];
  };
}

test('a report lays the curves of several runs over each other, with the target', async () => {
  const folder = await temporaryFolder();
  const runs = [await run(folder, 'held', 'relative', 126), await run(folder, 'free', 'none', 300)];
  const path = join(folder, 'report.html');
  await writeTrainReport(path, runs);
  const page = await readFile(path, 'utf8');
  const [first, ...others] = drawn(page).plots;
  expect(first!.title).toBe('Terms a document');
  expect(first!.lines.map(({ label, dashed }) => [label, dashed ?? false])).toEqual([
    ['held', false],
    ['free', false],
    ['target', true],
  ]);
  expect(first!.lines[0]!.values).toHaveLength(1501);
  expect(others.map(({ title }) => title)).toEqual([
    'lambda of the documents',
    'Loss',
    'Loss: infoNCE',
    'Terms a query',
    'Norm of the gradient',
    'Learning rate',
  ]);
  expect(page).toMatch(/held<\/td><td>relative<\/td><td>3000<\/td><td>120<\/td><td>126.0<\/td><td>5.0%<\/td>/);
});

test('a page needs nothing from elsewhere, and no name in it is markup', async () => {
  const folder = await temporaryFolder();
  const path = join(folder, 'report.html');
  await writeTrainReport(path, [await run(folder, 'a', 'relative', 100)]);
  const page = await readFile(path, 'utf8');
  expect(page).not.toMatch(/(src|href)=|@import|url\(/);
  expect(page).toContain('uPlot');
  expect(page).not.toContain('<b>');
});

test('runs of the same name are told apart by their folders', async () => {
  const folder = await temporaryFolder();
  const [left, right] = [join(folder, 'left'), join(folder, 'right')];
  await mkdir(left);
  await mkdir(right);
  const path = join(folder, 'report.html');
  await writeTrainReport(path, [await run(left, 'run', 'none', 1), await run(right, 'run', 'none', 2)]);
  expect(await readFile(path, 'utf8')).toContain('<title>left/run, right/run</title>');
});

test('a log without a step has no report', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'metrics.jsonl'), '{"kind":"run","step":0}\n');
  await expect(writeTrainReport(join(folder, 'r.html'), [folder])).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_REPORT_EMPTY' }),
  );
});
