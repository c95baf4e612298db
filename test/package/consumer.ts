import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const root = join(__dirname, '../..');
const execute = promisify(execFile);

/** Runs a program; its output, or an error with all it printed. */
export async function run(folder: string, command: string, ...args: string[]): Promise<string> {
  // npm hands its settings down to the scripts it runs, and the tests name a CUDA backend; these would apply to the
  // consumer too.
  const inherited = /^npm_(?!config_(cache|registry))|^FLES_CUDA_LIBRARY$/i;
  const environment = Object.entries(process.env).filter(([name]) => !inherited.test(name));
  try {
    const options = { cwd: folder, env: Object.fromEntries(environment), maxBuffer: 1 << 26 };
    return (await execute(command, args, options)).stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${message}\n${stdout}\n${stderr}`);
  }
}

export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'fles-package-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Packs a folder; the path of the archive in `destination`. */
export async function pack(folder: string, destination: string): Promise<string> {
  mkdirSync(destination, { recursive: true });
  const output = await run(folder, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', destination);
  const [{ filename }] = JSON.parse(output) as [{ filename: string }];
  return join(destination, filename);
}

const cjs = `
const fles = require('fles');
const vector = new fles.SparseVector(Uint32Array.of(1, 5), Float32Array.of(2, 0.5));
console.log(JSON.stringify({ names: Object.keys(fles).sort(), dot: vector.dot(vector) }));
`;

const esm = `
import * as fles from 'fles';
import { FlesError, InvertedIndex, SparseVector } from 'fles';
const vector = new SparseVector(Uint32Array.of(0, 1), Float32Array.of(2, 0.5), ['cat', 'dog']);
const index = await InvertedIndex.build('index', [{ id: 'both', vector }]);
const hits = await index.search({ cat: 3 }, { k: 10 });
index.close();
const error = await InvertedIndex.open('absent').catch((e) => e);
console.log(JSON.stringify({ names: Object.keys(fles).sort(), hits, isFlesError: error instanceof FlesError }));
`;

const typed = `
import { FLES1Encoder, FlesError, type Hit, InvertedIndex, type SparseVector } from 'fles';

export async function search(text: string): Promise<Hit[]> {
  const encoder = await FLES1Encoder.fromPretrained('model', { device: 'cpu', offline: true });
  const query: SparseVector = await encoder.encode(text, { kind: 'query', topK: 10 });
  const index = await InvertedIndex.open('index');
  try {
    return await index.search(query, { k: 10 });
  } catch (error) {
    if (error instanceof FlesError && error.code === 'ERR_ABORTED') return [];
    throw error;
  }
}

// @ts-expect-error: a misspelt option is a mistake that the types must find
export const wrong = FLES1Encoder.fromPretrained('model', { devise: 'cpu' });
`;

/** A project that has nothing but this package, installed from an archive. */
export class Consumer {
  private constructor(readonly folder: string) {}

  static async install(folder: string, archive: string, ...options: string[]): Promise<Consumer> {
    mkdirSync(folder);
    const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
    write('package.json', JSON.stringify({ name: 'consumer', private: true }));
    write('consumer.cjs', cjs);
    write('consumer.mjs', esm);
    write('typed.cts', typed);
    write('typed.mts', typed);
    await run(folder, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', ...options, archive);
    return new Consumer(folder);
  }

  /** What the program that uses the package prints, through `require` or `import`. */
  async use(kind: 'cjs' | 'mjs') {
    return JSON.parse(await run(this.folder, process.execPath, `consumer.${kind}`));
  }

  /** Path of the addon that is loaded, inside the package. */
  async addon(): Promise<string> {
    const code =
      "console.log(require('node-gyp-build').path(require('path').dirname(require.resolve('fles/package.json'))))";
    const path = await run(this.folder, process.execPath, '-e', code);
    return path
      .trim()
      .split(/node_modules[/\\]fles[/\\]/)
      .at(-1)!;
  }

  /** Checks the types from both kinds of modules; errors are in the output. */
  async checkTypes(): Promise<string> {
    // A TypeScript project for Node has the types of Node.
    mkdirSync(join(this.folder, 'node_modules/@types'), { recursive: true });
    for (const name of ['@types/node', 'undici-types']) {
      symlinkSync(join(root, 'node_modules', name), join(this.folder, 'node_modules', name));
    }
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'node16', 'typed.cts', 'typed.mts'];
    return run(this.folder, process.execPath, compiler, ...options);
  }

  /** Runs the program of the package. */
  fles(...args: string[]): Promise<string> {
    return run(this.folder, 'npx', '--no-install', 'fles', ...args);
  }
}
