import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { exitCode, formatError, Session } from '../../lib/cli/terminal';
import { FlesError } from '../../lib/errors';

describe('progress on a pipe', () => {
  let written: string[];
  let session: Session;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
    written = [];
    const stream = new Writable({
      write(chunk, _, done) {
        written.push(String(chunk));
        done();
      },
    }) as unknown as NodeJS.WriteStream;
    session = new Session(new AbortController().signal, stream);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is one JSON object a line', () => {
    session.progress('encode', 'texts').update(3, 10);
    expect(written).toEqual(['{"progress":{"task":"encode","unit":"texts","done":3,"total":10}}\n']);
  });

  test('comes at most once a second', () => {
    const tasks = [session.progress('encode', 'texts'), session.progress('index', 'texts')];
    for (let done = 0; done < 30; done++) {
      for (const progress of tasks) progress.update(done);
      vi.advanceTimersByTime(100);
    }
    expect(written.map((line) => JSON.parse(line).progress.done)).toEqual([0, 10, 20]);
  });

  test('comes once more at the end of a task, with what was done last', () => {
    const tasks = ['encode', 'index', 'search', 'idle'].map((task) => session.progress(task, 'texts'));
    const [encode, index, search, idle] = tasks;
    for (let done = 0; done <= 5; done++) encode!.update(done);
    for (let done = 0; done <= 4; done++) index!.update(done, 9);
    search!.update(0, 7);
    encode!.finish();
    index!.stop();
    search!.finish();
    for (const task of [encode!, idle!]) task.stop();
    expect(written.map((line) => JSON.parse(line).progress)).toEqual([
      { task: 'encode', unit: 'texts', done: 0, total: null },
      { task: 'encode', unit: 'texts', done: 5, total: 5 },
      { task: 'index', unit: 'texts', done: 4, total: 9 },
      { task: 'search', unit: 'texts', done: 7, total: 7 },
    ]);
  });
});

describe('exit codes', () => {
  test.each([
    ['an option out of range', new FlesError('ERR_OPTION_RANGE', 'x'), 2],
    ['a missing file', new FlesError('ERR_FILE_NOT_FOUND', 'x'), 2],
    ['a bad line', new FlesError('ERR_QRELS_LINE', 'x'), 2],
    ['a full disk', new FlesError('ERR_DISK_FULL', 'x'), 1],
    ['a folder that cannot be written', new FlesError('ERR_FILE_ACCESS', 'x'), 1],
    ['a hub that does not answer', new FlesError('ERR_HUB_NETWORK', 'x'), 1],
    ['a hub id that nobody has', new FlesError('ERR_HUB_NOT_FOUND', 'x'), 2],
    ['a file system error that says no path exists', Object.assign(new Error('x'), { code: 'ENOENT' }), 2],
    ['a name too long for a file', Object.assign(new Error('x'), { code: 'ENAMETOOLONG', syscall: 'open' }), 2],
    ['a disk that fails', Object.assign(new Error('x'), { code: 'EIO', syscall: 'read' }), 1],
    ['an output that another run writes', new FlesError('ERR_OUTPUT_BUSY', 'x'), 1],
    ['a mistake of the program', new TypeError('x'), 1],
  ])('of %s', (_, error, code) => {
    expect(exitCode(error)).toBe(code);
  });

  test('are those that docs/errors.md gives each code', () => {
    const rows = readFileSync(join(__dirname, '../../docs/errors.md'), 'utf8').matchAll(/^\| (`ERR_[^|]+)\|/gm);
    const codes = [...rows].flatMap(([, cell]) => [...cell!.matchAll(/`(ERR_\w+)`( \*)?/g)]);
    expect(codes.length).toBeGreaterThan(100);
    const wrong = codes.filter(([, code, star]) => {
      const error = code === 'ERR_UNEXPECTED' ? new Error('x') : new FlesError(code!, 'x');
      return exitCode(error) !== (star ? 1 : 2);
    });
    expect(wrong.map(([text]) => text)).toEqual([]);
  });

  test.each([
    'ERR_LOSS_NOT_FINITE',
    'ERR_GRADIENT_VANISHED',
    'ERR_CUDA',
    'ERR_CHECKPOINT_DAMAGED',
    'ERR_INDEX_CHECKSUM',
  ])('is 1 for %s, which speaks of no option and no input', (code) => {
    expect(exitCode(new FlesError(code, 'x'))).toBe(1);
  });
});

describe('an error', () => {
  test('is its code and its sentence', () => {
    expect(formatError(new FlesError('ERR_FILE_EMPTY', 'a.jsonl is empty'), false)).toBe(
      'error: ERR_FILE_EMPTY a.jsonl is empty\n',
    );
  });

  test('of the file system has a code of the package', () => {
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', path: '/x' });
    expect(formatError(error, false)).toMatch(/^error: ERR_DISK_FULL no space left while writing \/x;/);
  });

  test('of the file system that has no code of its own in the package still names the path', () => {
    const error = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read', path: '/x' });
    expect(formatError(error, false)).toBe('error: ERR_FILE_IO /x cannot be read or written (EIO: i/o error, read)\n');
  });

  test('without a code is called unexpected', () => {
    expect(formatError(new TypeError('no'), false)).toBe('error: ERR_UNEXPECTED no\n');
  });

  test('shows its stack when debugging', () => {
    expect(formatError(new FlesError('ERR_X', 'y'), true)).toContain('terminal.test.ts');
  });
});
