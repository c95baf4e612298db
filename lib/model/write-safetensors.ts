import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FlesError } from '../errors';
import { outputError } from '../text/output-file';
import { safetensorsHeader } from './safetensors';

export interface TensorValues {
  name: string;
  shape: readonly number[];
  values: Float32Array;
}

/** Writes a safetensors file of float32 tensors, whole or not at all. Throws `ERR_FILE_*`, `ERR_DISK_FULL`. */
export async function writeSafetensors(path: string, tensors: readonly TensorValues[]): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  let file: FileHandle | undefined;
  try {
    file = await open(temporary, 'wx');
    const header = Buffer.from(safetensorsHeader(tensors));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    await file.appendFile(Buffer.concat([length, header]));
    for (const { values } of tensors) {
      await file.appendFile(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    }
    await file.sync();
    await file.close();
    file = undefined;
    await rename(temporary, path);
  } catch (error) {
    await file?.close().catch(() => undefined);
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error instanceof FlesError ? error : await outputError(error, path);
  }
}
