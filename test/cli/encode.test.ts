import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { FLES1Encoder } from '../../lib/encode/encoder';
import { FakeHub } from '../model/hub-server';
import { fles, jsonLines, library, type Outcome, tinyModel } from './run-fles';
import { temporaryFile, temporaryFolder } from './temporary';

let folder: string;
let output: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  output = join(folder, 'vectors.jsonl');
});

function encode(input: string, ...more: string[]) {
  return ['encode', '--model', tinyModel, '--input', input, '--output', output, ...more];
}

describe('the output', () => {
  test('has the vectors that the library computes, in the order of the input', async () => {
    const input = await temporaryFile('t.tsv', 'b\tWhat is machine learning?\na\t\nc\tsearch search\n');
    const { code, stdout } = await fles(encode(input, '--threshold', '0.1', '--top-k', '7', '--kind', 'query'));
    expect([code, stdout]).toEqual([0, '']);
    const encoder = await FLES1Encoder.fromPretrained(tinyModel);
    const texts = ['What is machine learning?', '', 'search search'];
    const matrix = await encoder.encodeBatch(texts, { threshold: 0.1, topK: 7, kind: 'query' });
    encoder.dispose();
    const written = jsonLines(await readFile(output, 'utf8'));
    expect(written.map(({ id }) => id)).toEqual(['b', 'a', 'c']);
    expect(written[1].vector).toEqual({});
    for (const [i, { vector }] of written.entries()) {
      const weights = Object.entries<number>(vector).map(([term, weight]) => [term, Math.fround(weight)]);
      expect(new Map(weights as [string, number][])).toEqual(new Map(matrix.row(i).entries()));
    }
  });

  test('goes to standard output for -, and texts come from standard input', async () => {
    const args = ['encode', '--model', tinyModel, '--input', '-', '--output', '-'];
    const [lines, json] = await Promise.all([
      fles(args, { input: 'search\nlearning\n' }),
      fles(args, { input: '{"_id":"1","text":"search"}\n{"_id":"2","text":"learning"}\n' }),
    ]);
    expect(lines.code).toBe(0);
    expect(jsonLines(lines.stdout).map(({ id }) => id)).toEqual(['1', '2']);
    expect(json.stdout).toBe(lines.stdout);
  });

  test('does not depend on the size of a batch or on how it was written', async () => {
    const one = await fles(encode(join(library, 'queries.jsonl'), '--batch-size', '1'));
    const streamed = await fles([
      'encode',
      '--model',
      tinyModel,
      '--input',
      join(library, 'queries.jsonl'),
      '--output',
      '-',
    ]);
    expect(one.code).toBe(0);
    expect(await readFile(output, 'utf8')).toBe(streamed.stdout);
  });

  test('replaces what stood under its name, and leaves nothing else behind', async () => {
    await writeFile(output, 'old');
    await fles(encode(join(library, 'queries.jsonl')));
    expect(jsonLines(await readFile(output, 'utf8'))).toHaveLength(30);
    expect(await readdir(folder)).toEqual(['vectors.jsonl']);
  });
});

test('progress on a pipe is JSON lines on standard error', async () => {
  const { stderr } = await fles(encode(join(library, 'queries.jsonl')));
  const [first] = jsonLines(stderr);
  expect(first).toEqual({ progress: { task: 'encode', unit: 'texts', done: 1, total: null } });
});

test('a model of the hub is downloaded once, with progress', async () => {
  const hub = await new FakeHub().start();
  try {
    for (const file of await readdir(tinyModel)) hub.files.set(file, await readFile(join(tinyModel, file)));
    const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, 'hf'), HF_HUB_CACHE: '', HF_HUB_OFFLINE: '' };
    const args = ['encode', '--model', hub.id, '--input', '-', '--output', '-'];
    const first = await fles(args, { env, input: 'search\n' });
    expect(first.stderr).toContain(`"task":"download ${hub.id}"`);
    await hub.stop();
    const second = await fles(args, { env: { ...env, HF_HUB_OFFLINE: '1' }, input: 'search\n' });
    expect([first.code, second.code]).toEqual([0, 0]);
    expect(second.stdout).toBe(first.stdout);
  } finally {
    await hub.stop();
  }
});

describe('an interrupted run', () => {
  const COUNT = 4000;
  let input: string;

  beforeEach(async () => {
    const text = (i: number) => `What is machine learning? search ${'learning '.repeat(i % 7)}`;
    input = await temporaryFile('long.txt', Array.from({ length: COUNT }, (_, i) => `${text(i)}\n`).join(''));
  });

  async function interrupt(signal: NodeJS.Signals, ...more: string[]) {
    // Small batches: several windows of texts are still to come when the first is reported.
    return fles(encode(input, '--batch-size', '4', ...more), { onProgress: (child) => child.kill(signal) });
  }

  test('by Ctrl-C ends with 130, leaves no output under the final name, and goes on with --resume', async () => {
    const { code, stderr } = await interrupt('SIGINT');
    expect(code).toBe(130);
    expect(stderr).toContain('interrupted');
    expect(stderr).not.toContain('error:');
    expect(existsSync(output)).toBe(false);
    const kept = jsonLines(await readFile(`${output}.partial`, 'utf8')).length;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(COUNT);

    const refused = await fles(encode(input, '--resume', '--threshold', '0.3'));
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('ERR_RESUME_MISMATCH');
    const other = await fles(encode(input, '--resume', '--dtype', 'int8'));
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/ERR_RESUME_MISMATCH .*dtype "float32", now "int8"/);

    const resumed = await fles(encode(input, '--resume'));
    expect(resumed.code).toBe(0);
    expect(jsonLines(resumed.stderr)[0].progress.done).toBe(kept + 1);
    const whole = await fles(['encode', '--model', tinyModel, '--input', input, '--output', '-']);
    expect(await readFile(output, 'utf8')).toBe(whole.stdout);
    expect(await readdir(folder)).toEqual(['vectors.jsonl']);
  });

  test('by SIGKILL goes on with --resume', async () => {
    const { code } = await interrupt('SIGKILL');
    expect(code).toBeNull();
    expect(existsSync(output)).toBe(false);
    await fles(encode(input, '--resume'));
    expect(jsonLines(await readFile(output, 'utf8')).map(({ id }) => id)).toEqual(
      Array.from({ length: COUNT }, (_, i) => String(i + 1)),
    );
  });

  test('is not resumed with weights that have changed meanwhile', async () => {
    const model = join(await temporaryFolder(), 'model');
    await cp(tinyModel, model, { recursive: true });
    const args = [...encode(input, '--batch-size', '4'), '--model', model];
    await fles(args, { onProgress: (child) => child.kill('SIGINT') });
    await utimes(join(model, 'model.safetensors'), new Date(), new Date(Date.now() + 5000));
    const { code, stderr } = await fles([...args, '--resume']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/ERR_RESUME_MISMATCH .*modelFiles/);
  });

  test('is not resumed with another pooling in a folder below the model', async () => {
    const model = join(await temporaryFolder(), 'model');
    await cp(tinyModel, model, { recursive: true });
    await writeFile(
      join(model, 'modules.json'),
      JSON.stringify([
        { idx: 0, name: '0', path: '', type: 'sentence_transformers.sparse_encoder.models.MLMTransformer' },
        {
          idx: 1,
          name: '1',
          path: '1_SpladePooling',
          type: 'sentence_transformers.sparse_encoder.models.SpladePooling',
        },
      ]),
    );
    await mkdir(join(model, '1_SpladePooling'));
    const pooling = (strategy: string) =>
      writeFile(
        join(model, '1_SpladePooling', 'config.json'),
        JSON.stringify({ pooling_strategy: strategy, activation_function: 'relu', word_embedding_dimension: 211 }),
      );
    await pooling('max');
    const args = [...encode(input, '--batch-size', '4'), '--model', model];
    await fles(args, { onProgress: (child) => child.kill('SIGINT') });
    expect(existsSync(`${output}.partial`)).toBe(true);
    await pooling('sum');
    const { code, stderr } = await fles([...args, '--resume']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/ERR_RESUME_MISMATCH .*modelFiles .*pooling "max", now "sum"/);
  });

  test('is not resumed on a changed input', async () => {
    await interrupt('SIGINT');
    await writeFile(input, 'another text\n');
    const { code, stderr } = await fles(encode(input, '--resume'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/ERR_RESUME_MISMATCH .*inputBytes/);
  });
});

test('a second run with the same output is refused while the first goes on, and the first is not disturbed', async () => {
  const input = await temporaryFile('long.txt', 'What is machine learning?\n'.repeat(1000));
  let second: Promise<Outcome> | undefined;
  const first = await fles(encode(input), {
    onProgress: (child) => {
      // Stopped, so that it holds the output for as long as the second one tries.
      child.kill('SIGSTOP');
      second = fles(encode(join(library, 'queries.jsonl'))).finally(() => child.kill('SIGCONT'));
    },
  });
  const refused = await second;
  expect(refused?.code).toBe(1);
  expect(refused?.stderr).toContain(`error: ERR_OUTPUT_BUSY ${output} `);
  expect(first.code).toBe(0);
  expect(jsonLines(await readFile(output, 'utf8'))).toHaveLength(1000);
  expect(await readdir(folder)).toEqual(['vectors.jsonl']);
});

describe('what cannot be done', () => {
  test.each([
    ['an empty file', 't.jsonl', '', 'ERR_FILE_EMPTY'],
    ['invalid UTF-8', 't.txt', Buffer.from([0xff, 0x0a]), 'ERR_TEXT_ENCODING'],
    ['a line beyond the limit', 't.txt', 'x'.repeat(17 * 2 ** 20), 'ERR_LINE_LENGTH'],
    ['an id that comes twice', 't.tsv', 'a\tx\na\ty\n', 'ERR_ID_DUPLICATE'],
    ['half of a surrogate pair', 't.jsonl', '{"_id":"a","text":"\\udc00"}\n', 'ERR_TEXT_SURROGATE'],
  ])('%s is refused with code 2 and leaves nothing behind', async (_, name, content, code) => {
    const outcome = await fles(encode(await temporaryFile(name, content)));
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(new RegExp(`^error: ${code} .*${name}`));
    expect(await readdir(folder)).toEqual([]);
  });

  test('an input that does not exist is named, and nothing is written', async () => {
    const { code, stderr } = await fles(encode(join(folder, 'gone.jsonl')));
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: ERR_FILE_NOT_FOUND .*gone\.jsonl/);
    expect(await readdir(folder)).toEqual([]);
  });

  test('an output in a folder that does not exist names the folder', async () => {
    output = join(folder, 'gone', 'vectors.jsonl');
    const { code, stderr } = await fles(encode(join(library, 'queries.jsonl')));
    expect(code).toBe(2);
    expect(stderr).toContain(`ERR_FILE_NOT_FOUND ${join(folder, 'gone')} `);
  });

  test('a name too long for a file is refused, for the input and the output', async () => {
    const long = join(folder, 'x'.repeat(300));
    const input = await fles(encode(long));
    output = long;
    const written = await fles(encode(join(library, 'queries.jsonl')));
    for (const { code, stderr } of [input, written]) {
      expect(code).toBe(2);
      expect(stderr).toContain(`error: ERR_FILE_NAME ${long} cannot be the name of a file (ENAMETOOLONG)`);
    }
  });

  const proc = existsSync('/proc/self');
  test.skipIf(!proc)(
    `an output in a folder that takes no files is named as given${proc ? '' : ' (skipped: there is no /proc)'}`,
    async () => {
      output = '/proc/vectors.jsonl';
      const { code, stderr } = await fles(encode(join(library, 'queries.jsonl')));
      expect(code).toBe(1);
      expect(stderr).toMatch(/^error: ERR_FILE_ACCESS \/proc/m);
      expect(stderr).not.toContain('.partial');
    },
  );

  test('a length beyond the positions of the model is refused', async () => {
    const { code, stderr } = await fles(encode(join(library, 'queries.jsonl'), '--max-length', '41'));
    expect(code).toBe(2);
    expect(stderr).toContain('ERR_OPTION_RANGE maxLength is 41, expected an integer in 2..40');
  });

  test('a folder that may not be written fails with code 1', async () => {
    // Root may write anywhere, so the command then runs as nobody.
    const uid = process.getuid?.() === 0 ? 65534 : undefined;
    await chmod(folder, 0o555);
    const { code, stderr } = await fles(encode(join(library, 'queries.jsonl')), { uid });
    await chmod(folder, 0o755);
    expect(stderr).toContain(`error: ERR_FILE_ACCESS ${folder} `);
    expect(code).toBe(1);
  });
});

const devices = existsSync('/dev/full');
describe.skipIf(!devices)(`a full disk${devices ? '' : ' (skipped: there is no /dev/full)'}`, () => {
  test('fails, and the device stays a device', async () => {
    output = '/dev/full';
    const { code, stderr } = await fles(encode(join(library, 'queries.jsonl')));
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: ERR_DISK_FULL no space left while writing \/dev\/full/);
    expect((await stat('/dev/full')).isCharacterDevice()).toBe(true);
  });

  test('under standard output fails', async () => {
    const args = ['-c', '"$@" > /dev/full', 'sh', process.execPath, join(__dirname, '../../dist/cli/main.js')];
    const child = spawn('sh', [...args, 'info'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    expect((await once(child, 'close'))[0]).toBe(1);
    expect(stderr).toBe(
      'error: ERR_DISK_FULL no space left while writing standard output; free some space and run again\n',
    );
  });
});

test('a reader that closes standard output early is no error', async () => {
  const cli = join(__dirname, '../../dist/cli/main.js');
  const args = [cli, 'encode', '--model', tinyModel, '--input', join(library, 'corpus.jsonl'), '--output', '-'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  child.stdout.once('data', () => child.stdout.destroy());
  expect((await once(child, 'close'))[0]).toBe(0);
  expect(stderr).not.toContain('error');
});
