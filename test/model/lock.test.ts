import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withLock } from '../../lib/model/lock';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fles-lock-'));
  path = join(folder, 'lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

const owner = () => readFileSync(path, 'utf8');
const linux = process.platform === 'linux';

/** Whether the lock is had at once. */
async function isFree(): Promise<boolean> {
  const signal = AbortSignal.timeout(300);
  return withLock(path, signal, async () => true).catch((error) => {
    expect(error).toBe(signal.reason);
    return false;
  });
}

test('one at a time, and nothing is left', async () => {
  await withLock(path, undefined, async () => {
    expect(owner()).toMatch(linux ? new RegExp(`^${hostname()} ${process.pid} \\d+ [0-9a-f]{16}$`) : /^/);
    expect(await isFree()).toBe(false);
  });
  expect(existsSync(path)).toBe(false);
  expect(await isFree()).toBe(true);
});

test.runIf(linux)('of a process that had the number of a living one is taken over', async () => {
  writeFileSync(path, `${hostname()} ${process.pid} 1`);
  expect(await isFree()).toBe(true);
});

test.runIf(linux)('of a living process that sleeps is not taken over, however old it is', async () => {
  let kept = '';
  await withLock(path, undefined, async () => (kept = owner()));
  writeFileSync(path, kept);
  utimesSync(path, 1, 1);
  expect(await isFree()).toBe(false);
});

test('of another machine is taken over when it is old', async () => {
  writeFileSync(path, 'elsewhere 1 1');
  expect(await isFree()).toBe(false);
  utimesSync(path, 1, 1);
  expect(await isFree()).toBe(true);
});

test('of another machine is taken over when its time is far in the future', async () => {
  writeFileSync(path, 'elsewhere 1 1');
  utimesSync(path, 2 ** 32, 2 ** 32);
  expect(await isFree()).toBe(true);
});

test('that another has taken over stays', async () => {
  await withLock(path, undefined, async () => writeFileSync(path, 'elsewhere 1 1'));
  expect(owner()).toBe('elsewhere 1 1');
});

test('of a killed process is taken over by one of many', async () => {
  let held = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++held);
    await sleep(5);
    held--;
  };
  // Without care one in three rounds has two.
  for (let round = 0; round < 20; round++) {
    writeFileSync(path, `${hostname()} 999999999 1`);
    const takers = Array.from({ length: 6 }, async (_, i) => {
      await sleep(i % 3);
      await withLock(path, AbortSignal.timeout(60), work).catch(() => {});
    });
    await Promise.all(takers);
  }
  expect(most).toBe(1);
  expect(readdirSync(folder)).toEqual([]);
});

test('is taken over behind a process that was killed while it did so', async () => {
  writeFileSync(path, `${hostname()} 999999999 1`);
  writeFileSync(`${path}.takeover`, '');
  expect(await isFree()).toBe(false);
  utimesSync(`${path}.takeover`, 1, 1);
  expect(await isFree()).toBe(true);
});
