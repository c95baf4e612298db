import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crc32c, TensorBoardWriter } from '../../lib/train/tensorboard';

test('crc32c gives the check values of RFC 3720, appendix B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});

test('an event file has the bytes that TensorFlow writes for these events', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'fles-events-'));
  try {
    const writer = await TensorBoardWriter.create(directory);
    await writer.add(300, { 'loss/total': 1.5, nnz: 120 }, 1.5);
    await writer.close();
    const [name, ...others] = await readdir(directory);
    expect(others).toEqual([]);
    expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\./);
    const file = await readFile(join(directory, name!));
    // The first record holds the version behind a time that differs from run to run.
    const first = Number(file.readBigUInt64LE());
    expect(file.subarray(12 + 9, 12 + first).toString('latin1')).toBe('\x1a\x0dbrain.Event:2');
    // Made by tensorboard 2.21, test/fixtures/tensorboard_events.py.
    expect(file.subarray(12 + first + 4).toString('hex')).toBe(EXPECTED);
  } finally {
    await rm(directory, { recursive: true });
  }
});

const EXPECTED =
  '2d000000000000003c418afb09000000000000f83f10ac022a1f0a110a0a6c6f73732f746f74616c150000c03f0a0a0a036e6e7a150000f042e0e7007e';
