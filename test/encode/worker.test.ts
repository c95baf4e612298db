import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readModelFixture } from '../support/fixtures';

const { directory, texts } = readModelFixture('bert-wide');
const main = join(__dirname, '../../dist/index.js');

/** Runs a program in a process of its own, with the built package, a model folder and texts at hand. */
function run(program: string): { status: number | null; signal: string | null; stdout: string; stderr: string } {
  const prelude = `
    const { Worker, isMainThread, parentPort } = require('node:worker_threads');
    const texts = ${JSON.stringify(texts.filter((text) => text.trim()))};
    const directory = ${JSON.stringify(directory)};
    const source = (body) => 'const { FLES1Encoder } = require(${JSON.stringify(main)});'
      + 'const { parentPort } = require("node:worker_threads");'
      + 'const texts = ' + JSON.stringify(texts) + ', directory = ' + JSON.stringify(directory) + ';' + body;
    const inWorker = (body) => new Worker(source(body), { eval: true });
  `;
  return spawnSync(process.execPath, ['-e', prelude + program], { encoding: 'utf8', timeout: 50_000 });
}

const sumOfWeights = `
  (async () => {
    const encoder = await FLES1Encoder.fromPretrained(directory);
    const rows = await encoder.encodeBatch(texts);
    parentPort.postMessage(rows.weights.reduce((a, b) => a + b, 0));
  })();`;

test('workers that load the package alone, at once and one after the other, get the same vectors', () => {
  const { status, stdout, stderr } = run(`
    const body = ${JSON.stringify(sumOfWeights)};
    const once = () => new Promise((resolve, reject) => {
      const worker = inWorker(body);
      let sum;
      worker.on('message', (value) => { sum = value; });
      worker.on('error', reject);
      worker.on('exit', () => resolve(sum));
    });
    (async () => {
      const sums = await Promise.all([once(), once(), once()]);
      // The main thread never loads the addon, so it could be unloaded here.
      sums.push(await once(), await once());
      console.log(JSON.stringify(sums));
    })();`);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const sums = JSON.parse(stdout) as number[];
  expect(sums[0]).toBeGreaterThan(1);
  expect(sums).toEqual(Array(5).fill(sums[0]));
});

test('a worker ended in the middle of its calls takes nothing down', () => {
  const { status, signal, stdout, stderr } = run(`
    const body = ${JSON.stringify(`
      (async () => {
        const encoder = await FLES1Encoder.fromPretrained(directory);
        const many = Array.from({ length: 2000 }, (_, i) => texts[i % texts.length]);
        parentPort.postMessage('ready');
        await Promise.all([encoder.encodeBatch(many), encoder.encodeBatch(many), encoder.encodeBatch(many)]);
      })();`)};
    (async () => {
      for (let i = 0; i < 12; i++) {
        const worker = inWorker(body);
        await new Promise((resolve) => worker.once('message', resolve));
        await new Promise((resolve) => setTimeout(resolve, 5 * i));
        await worker.terminate();
      }
      const { FLES1Encoder } = require(${JSON.stringify(main)});
      const encoder = await FLES1Encoder.fromPretrained(directory);
      console.log((await encoder.encodeBatch(texts)).nnz > 0);
    })();`);
  expect(signal).toBe(null);
  expect(stderr).toBe('');
  expect(stdout).toBe('true\n');
  expect(status).toBe(0);
});

test('a process ends by itself when its calls have ended, with its encoder alive', () => {
  const { status, stdout } = run(`
    const { FLES1Encoder } = require(${JSON.stringify(main)});
    FLES1Encoder.fromPretrained(directory).then(async (encoder) => {
      globalThis.kept = encoder;
      console.log((await encoder.encode(texts[2])).nnz > 0);
    });`);
  expect(status).toBe(0);
  expect(stdout).toBe('true\n');
});
