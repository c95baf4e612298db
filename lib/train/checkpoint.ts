import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { FlesError, fileError, messageOf } from '../errors';
import { makeDirectory } from '../make-directory';
import { isObject } from '../model/json';
import { readSafetensorsHeader, type SafetensorsEntry } from '../model/safetensors';
import { outputError, writeTextFile } from '../text/output-file';

/** Of the layout of a checkpoint; another one is refused. */
const VERSION = 2;
const STATE_FILE = 'state.safetensors';
const TRAINER_FILE = 'trainer.json';

/** A checkpoint that was read and found whole. */
export interface Checkpoint<T> {
  step: number;
  /** What `saveCheckpoint` was given. */
  content: T;
  /** The file with weights and moments, and its tensors by name. */
  state: { path: string; tensors: Map<string, SafetensorsEntry> };
}

/**
 * Writes the checkpoint of a step: a folder `step-N` in `directory` that appears whole or not at all. Afterwards the latest
 * `keep` are left.
 *
 * @param content all that a run needs besides weights and moments, JSON
 * @param writeState writes the safetensors file
 * @throws FlesError `ERR_FILE_*`, `ERR_DISK_FULL`; what was there stays
 */
export async function saveCheckpoint(
  directory: string,
  { step, content, keep }: { step: number; content: unknown; keep: number },
  writeState: (path: string) => Promise<void>,
): Promise<void> {
  const target = join(directory, `step-${String(step).padStart(8, '0')}`);
  const temporary = join(directory, `.step-${step}.${randomBytes(6).toString('hex')}.tmp`);
  await makeDirectory(directory);
  try {
    await makeDirectory(temporary);
    await writeState(join(temporary, STATE_FILE));
    const { size } = await stat(join(temporary, STATE_FILE));
    const sums = { state: await sumOfFile(join(temporary, STATE_FILE)), content: sumOf(step, content) };
    const text = JSON.stringify({ version: VERSION, step, stateBytes: size, sha256: sums, content });
    await writeTextFile(join(temporary, TRAINER_FILE), [`${text}\n`]);
    // One that was refused, or that an interrupted run has left behind: this run has come past it.
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    await syncDirectory(directory);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw error instanceof FlesError ? renamed(error, temporary, target) : await outputError(error, target);
  }
  // Later ones, which were refused, count for nothing.
  const names = (await checkpointNames(directory)).filter((name) => stepOf(name) <= step);
  for (const older of names.slice(keep)) {
    await rm(join(directory, older), { recursive: true, force: true });
  }
}

/**
 * The latest checkpoint that is whole; undefined when there is none at all.
 *
 * @param onRefused told of each that is not whole
 * @throws FlesError `ERR_CHECKPOINT_DAMAGED` when there are some and none is whole
 */
export async function loadCheckpoint<T>(
  directory: string,
  onRefused: (error: FlesError) => void,
): Promise<Checkpoint<T> | undefined> {
  await removeTemporary(directory);
  let last: FlesError | undefined;
  for (const name of await checkpointNames(directory)) {
    try {
      return await readCheckpoint<T>(join(directory, name));
    } catch (error) {
      if (!(error instanceof FlesError)) throw error;
      last = new FlesError(
        'ERR_CHECKPOINT_DAMAGED',
        `${join(directory, name)} is refused: ${error.code} ${error.message}; the one before it is used`,
        { cause: error },
      );
      onRefused(last);
    }
  }
  if (last) {
    throw new FlesError(
      'ERR_CHECKPOINT_DAMAGED',
      `${directory} has no checkpoint that is whole; start anew in another folder`,
      { cause: last },
    );
  }
  return undefined;
}

async function readCheckpoint<T>(directory: string): Promise<Checkpoint<T>> {
  const path = join(directory, TRAINER_FILE);
  const text = await readFile(path, 'utf8').catch((error) => {
    throw fileError(error, path);
  });
  const damaged = (what: string, cause?: unknown) =>
    new FlesError('ERR_CHECKPOINT_DAMAGED', `${path} ${what}`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(`is not JSON (${messageOf(error)})`, error);
  }
  if (!isObject(value) || value.version !== VERSION || !isObject(value.content) || !isObject(value.sha256)) {
    throw damaged(`is no checkpoint of version ${VERSION}`);
  }
  if (sumOf(value.step, value.content) !== value.sha256.content) throw damaged('was changed after it was written');
  const statePath = join(directory, STATE_FILE);
  const tensors = await readSafetensorsHeader(statePath);
  const { size } = await stat(statePath);
  if (size !== value.stateBytes) throw damaged(`says ${STATE_FILE} has ${value.stateBytes} bytes, it has ${size}`);
  if ((await sumOfFile(statePath)) !== value.sha256.state) {
    throw new FlesError('ERR_CHECKPOINT_DAMAGED', `${statePath} is not what was written: its SHA-256 differs`);
  }
  return { step: value.step as number, content: value.content as T, state: { path: statePath, tensors } };
}

async function sumOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  } catch (error) {
    throw fileError(error, path);
  }
  return hash.digest('hex');
}

function sumOf(step: unknown, content: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([step, content]))
    .digest('hex');
}

/** An error that speaks of the checkpoint under its own name, not under one that is gone. */
function renamed({ code, message, cause }: FlesError, temporary: string, target: string): FlesError {
  return new FlesError(code, message.replaceAll(temporary, target), { cause });
}

/** Names of the checkpoints, the latest first. */
async function checkpointNames(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw fileError(error, directory);
  });
  return names.filter((name) => /^step-\d{8,}$/.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
}

function stepOf(name: string): number {
  return Number(name.slice(5));
}

/** What a killed run has left half written. */
async function removeTemporary(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names.filter((name) => /^\.step-\d+\.[0-9a-f]{12}\.tmp$/.test(name))) {
    await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** Makes a rename in a directory last. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
