import { FlesError } from '../errors';

/** First bytes of what people compress text into; undefined where any byte may stand. */
const BEGINNINGS: readonly [name: string, bytes: readonly (number | undefined)[]][] = [
  ['gzip', [0x1f, 0x8b]],
  ['Zstandard', [0x28, 0xb5, 0x2f, 0xfd]],
  // "BZh", a digit, and the digits of pi that begin a block.
  ['bzip2', [0x42, 0x5a, 0x68, undefined, 0x31, 0x41, 0x59]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  // "PAR1", which may begin a text, and the first field of a page.
  ['Parquet', [0x50, 0x41, 0x52, 0x31, 0x15]],
];

/** Throws `ERR_FILE_COMPRESSED` for a file that begins as no text does. `bytes` are its first 8 or more. */
export function refuseCompressed(bytes: Uint8Array, name: string): void {
  for (const [format, beginning] of BEGINNINGS) {
    if (bytes.length >= beginning.length && beginning.every((byte, i) => byte === undefined || byte === bytes[i])) {
      throw new FlesError('ERR_FILE_COMPRESSED', `${name} is ${format}, expected plain text; unpack it first`);
    }
  }
}
