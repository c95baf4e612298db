import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { locate } from '../support/fixtures';
import { fles, jsonLines, library, tinyModel } from './run-fles';
import { temporaryFile, temporaryFolder } from './temporary';

const QRELS = 'q1 0 a 1\nq1 0 b 0\nq2 0 c 2\n';
const RUN = 'q1 Q0 b 1 2.0 t\nq1 Q0 a 2 1.0 t\n';

describe('a run against judgements', () => {
  let args: string[];

  beforeEach(async () => {
    args = ['eval', '--qrels', await temporaryFile('qrels.tsv', QRELS), '--run', await temporaryFile('run.trec', RUN)];
  });

  test('is scored under the names of trec_eval, as JSON', async () => {
    const { code, stdout } = await fles([...args, '--json']);
    expect(code).toBe(0);
    // The relevant document of q1 is second, q2 has no results and counts 0.
    expect(jsonLines(stdout)).toEqual([
      {
        ndcg_cut_10: expect.closeTo(0.5 / Math.log2(3), 12),
        recip_rank: 0.25,
        recip_rank_10: 0.25,
        recall_100: 0.5,
        map: 0.25,
      },
    ]);
  });

  test('is scored in the columns of trec_eval', async () => {
    const { stdout } = await fles(args);
    expect(stdout).toContain('ndcg_cut_10     \tall\t0.3155\n');
  });

  test('has the values of every query with --per-query', async () => {
    const [text, json] = await Promise.all([
      fles([...args, '--per-query', '--metrics', 'P_1,recip_rank']),
      fles([...args, '--per-query', '--json', '--metrics', 'P_1,recip_rank']),
    ]);
    expect(text.stdout.split('\n').map((line) => line.split(/\s*\t/))).toEqual([
      ['P_1', 'q1', '0.0000'],
      ['recip_rank', 'q1', '0.5000'],
      ['P_1', 'q2', '0.0000'],
      ['recip_rank', 'q2', '0.0000'],
      ['P_1', 'all', '0.0000'],
      ['recip_rank', 'all', '0.2500'],
      [''],
    ]);
    expect(jsonLines(json.stdout)[0].perQuery).toEqual({
      q1: { P_1: 0, recip_rank: 0.5 },
      q2: { P_1: 0, recip_rank: 0 },
    });
  });

  test('with unanswered queries says how many', async () => {
    expect((await fles(args)).stderr).toBe('note: 1 of 2 judged queries have no results and count 0\n');
  });

  test('with queries that are not judged says how many, and asks for the ids where no other has results', async () => {
    args[4] = await temporaryFile('run.trec', `${RUN}Q1 Q0 a 1 1 t\n`);
    expect((await fles(args)).stderr).toContain('note: 1 of 2 queries of the run are not judged and do not count\n');
    args[4] = await temporaryFile('run.trec', 'Q1 Q0 a 1 1 t\nQ2 Q0 c 1 1 t\n');
    expect((await fles(args)).stderr).toContain(
      'note: 2 of 2 queries of the run are not judged and do not count: do the ids match?\n',
    );
  });

  test('may come from standard input, one of the two at a time', async () => {
    const [file, qrels] = [await fles(args), args[2]!];
    const run = await fles(['eval', '--qrels', qrels, '--run', '-'], { input: RUN });
    const judged = await fles(['eval', '--qrels', '-', '--run', args[4]!], { input: QRELS });
    expect([run.stdout, judged.stdout]).toEqual([file.stdout, file.stdout]);
    const bad = await fles(['eval', '--qrels', qrels, '--run', '-'], { input: 'q1 a\n' });
    expect(bad.stderr).toMatch(/^error: ERR_RUN_LINE stdin:1 /);
    const both = await fles(['eval', '--qrels', '-', '--run', '-']);
    expect([both.code, both.stderr]).toEqual([2, expect.stringMatching(/ERR_USAGE --qrels and --run are both/)]);
  });

  test('with a line of three columns is refused', async () => {
    args[2] = await temporaryFile('qrels.tsv', 'q1 0 a 1\nq1 a 1\n');
    const { code, stderr } = await fles(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: ERR_QRELS_LINE .*qrels\.tsv:2 has 3 columns/);
  });

  test('under an unknown metric is refused', async () => {
    const { code, stderr } = await fles([...args, '--metrics', 'ndcg@10']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: ERR_METRIC_NAME /);
  });
});

describe('systems on a data set', () => {
  let output: string;

  beforeEach(async () => {
    output = join(await temporaryFolder(), 'report');
  });

  async function compare(...more: string[]) {
    const outcome = await fles(['eval', '--data', library, '--output', output, ...more]);
    return outcome;
  }

  test('give a table, a report and one run a row', async () => {
    const { code, stdout } = await compare(
      '--split',
      'test',
      '--systems',
      `bm25,tiny=${tinyModel}`,
      '--thresholds',
      '0,0.3',
    );
    expect(code).toBe(0);
    expect(stdout.split('\n').map((line) => line.split('|')[1]?.trim())).toEqual(
      expect.arrayContaining(['System', 'bm25', 'tiny']),
    );
    expect(stdout).toContain(`report: ${join(output, 'report.md')}\n`);
    expect((await readdir(output)).sort()).toEqual([
      'bm25.trec',
      'report.json',
      'report.md',
      'tiny@0.3.trec',
      'tiny@0.trec',
    ]);

    const report = JSON.parse(await readFile(join(output, 'report.json'), 'utf8'));
    expect(
      report.rows.map(({ system, threshold }: { system: string; threshold: number }) => [system, threshold]),
    ).toEqual([
      ['bm25', null],
      ['tiny', 0],
      ['tiny', 0.3],
    ]);
    expect(report.rows[0]).toMatchObject({ queries: 30, indexBytes: null });
    expect(report.rows[1].nnz.documents).toBeGreaterThan(report.rows[2].nnz.documents);
    expect(report.rows[1].indexBytes.total).toBeGreaterThan(report.rows[2].indexBytes.total);
    expect(report.models.tiny).toMatchObject({ directory: tinyModel, device: 'cpu', maxLength: 40 });
    expect(report.command).toContain(`tiny=${tinyModel}`);

    const scored = await fles([
      'eval',
      '--qrels',
      join(library, 'qrels/test.tsv'),
      '--run',
      join(output, 'bm25.trec'),
      '--json',
    ]);
    expect(jsonLines(scored.stdout)[0]).toEqual(report.rows[0].metrics);
  });

  test('show that BM25 on the library is decent and not perfect', async () => {
    await compare('--systems', 'bm25');
    const report = JSON.parse(await readFile(join(output, 'report.json'), 'utf8'));
    expect(report.rows[0].metrics.ndcg_cut_10).toBeGreaterThan(0.5);
    expect(report.rows[0].metrics.ndcg_cut_10).toBeLessThan(0.7);
  });

  test('written again leave no run of the earlier report, and every other file', async () => {
    await compare('--systems', 'bm25,bm25-multifield');
    await writeFile(join(output, 'mine.trec'), 'x');
    await compare('--systems', 'bm25');
    expect((await readdir(output)).sort()).toEqual(['bm25.trec', 'mine.trec', 'report.json', 'report.md']);
  });

  test('that share a name are refused', async () => {
    const { code, stderr } = await compare('--systems', 'bm25,bm25');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: ERR_SYSTEM_NAME /m);
  });

  test('without the split that was asked for are refused, naming those that exist', async () => {
    const { code, stderr } = await compare('--split', 'dev');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: ERR_SPLIT_NOT_FOUND .*expected one of test/);
  });

  test('that are interrupted leave no index behind', async () => {
    const { code } = await fles(
      ['eval', '--data', library, '--output', output, '--systems', `tiny=${tinyModel}`, '--batch-size', '1'],
      { onProgress: (child) => child.kill('SIGINT') },
    );
    expect(code).toBe(130);
    expect(await readdir(output)).toEqual([]);
  });

  const models = locate('FLES_MODELS', 'splade-tiny', 'minilm-l6-h384');
  test.skipIf(!models.found)(
    `rank a sparse and a dense encoder above BM25 on the library${models.reason}`,
    async () => {
      const sparse = join(models.directory, 'splade-tiny');
      const dense = join(models.directory, 'minilm-l6-h384');
      await compare('--systems', `bm25,sparse=${sparse},dense=${dense}`);
      const report = JSON.parse(await readFile(join(output, 'report.json'), 'utf8'));
      const [bm25, tiny, minilm] = report.rows.map(
        (row: { metrics: Record<string, number> }) => row.metrics.ndcg_cut_10,
      );
      expect(tiny).toBeGreaterThan(bm25);
      expect(minilm).toBeGreaterThan(tiny);
      expect(report.rows[2]).toMatchObject({ threshold: null, nnz: null, flops: null });
    },
  );
});
