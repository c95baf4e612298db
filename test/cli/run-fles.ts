import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const cli = join(__dirname, '../../dist/cli/main.js');
if (!existsSync(cli)) throw new Error(`${cli} is missing: run "npm run build" before these tests`);

/** A small random model that is always there. */
export const tinyModel = join(__dirname, '../fixtures/models/bert-odd');
/** The collection that comes with the package. */
export const library = join(__dirname, '../../examples/library');

export interface Outcome {
  /** Null when a signal ended the process. */
  code: number | null;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  /** What standard input gives; it is empty without. */
  input?: string;
  env?: Record<string, string>;
  /** User to run as; only root may name another. */
  uid?: number;
  /** A command that runs the one behind it; empty without. */
  under?: readonly string[];
  /** Called once, when the command first reports progress. */
  onProgress?(child: ChildProcess): void;
}

/** Runs `fles` as a user would and waits for its end. */
export async function fles(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  // One thread: the tests share the processors.
  const env = { ...process.env, FLES_NUM_THREADS: '1', ...options.env };
  const [program, ...rest] = [...(options.under ?? []), process.execPath, cli, ...args];
  const child = spawn(program!, rest, { env, uid: options.uid });
  child.stdin.on('error', () => {}); // a command that fails early does not read it
  child.stdin.end(options.input ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const first = !stderr.includes('{"progress"');
    stderr += text;
    if (first && stderr.includes('{"progress"')) options.onProgress?.(child);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** The JSON objects of a text, one a line. */
export function jsonLines(text: string) {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
