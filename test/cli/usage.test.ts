import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { version } from '../../package.json';
import { fles, jsonLines, library, tinyModel } from './run-fles';

const COMMANDS = ['encode', 'index', 'search', 'eval', 'data', 'mine', 'train', 'presets', 'report', 'info'];

test.each(COMMANDS)('fles %s --help shows an example', async (command) => {
  const { code, stdout } = await fles([command, '--help']);
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: fles ${command} [options]`);
  expect(stdout).toMatch(new RegExp(`Examples?:\\n  fles ${command} `));
});

test.each(COMMANDS)('docs/cli.md tells of every option of fles %s, and its help of --debug', async (command) => {
  const docs = readFileSync(join(__dirname, '../../docs/cli.md'), 'utf8');
  const { stdout } = await fles([command, '--help']);
  const options = [...stdout.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option!);
  expect(options).toContain('--debug');
  const common = [...docs.split('\n## ')[1]!.matchAll(/--[a-z-]+/g)].map(String);
  const section = docs.split('\n## ').find((text) => text.startsWith(`\`fles ${command}\``))!;
  const told = new Set([...common, ...[...section.matchAll(/--[a-z-]+/g)].map(String)]);
  expect(options.filter((option) => !told.has(option) && !['--help', '--version'].includes(option))).toEqual([]);
});

test('fles --help names every command, and --version prints the version', async () => {
  const [help, printed] = await Promise.all([fles(['--help']), fles(['--version'])]);
  for (const command of COMMANDS) expect(help.stdout).toContain(`  ${command} `);
  expect(printed.stdout).toBe(`${version}\n`);
});

describe('bad usage ends with code 2 and a sentence', () => {
  const encode = ['encode', '--model', 'm', '--input', 'i', '--output', 'o'];
  test.each([
    [
      'an unknown option',
      ['encode', '--treshold', '1'],
      /ERR_USAGE unknown option '--treshold'\n\(Did you mean --threshold\?\)/,
    ],
    ['an unknown command', ['serch'], /ERR_USAGE unknown command 'serch'\n\(Did you mean search\?\)/],
    ['a command unlike any', ['nope'], /ERR_USAGE unknown command 'nope'\n\(Expected one of encode, index, /],
    ['no command', [], /Usage: fles/],
    ['a missing option', ['encode', '--input', 'i'], /ERR_USAGE option '--model <dir or hub id>' is required/],
    [
      'a number out of range',
      [...encode, '--threshold', '-1'],
      /ERR_USAGE .*'-1' is invalid. Expected a number in 0\.\./,
    ],
    [
      'a number that is none',
      [...encode, '--top-k', '1.5'],
      /ERR_USAGE .*'1\.5' is invalid. Expected an integer in 1\.\./,
    ],
    [
      'a number that is not decimal',
      [...encode, '--threshold', '0x10'],
      /ERR_USAGE .*'0x10' is invalid. Expected a number in 0\.\./,
    ],
    [
      'a share of 0 where there is none',
      ['data', '--data', 'd', '--test', 't', '--similarity', '0'],
      /ERR_USAGE .*'0' is invalid. Expected a number above 0, at most 1\.\n/,
    ],
    [
      'a folder where texts are expected',
      ['encode', '--model', tinyModel, '--input', library, '--output', '-'],
      /ERR_FILE_KIND .*library is a directory, expected a file\n/,
    ],
    [
      'a data set that is not there',
      ['eval', '--data', './nowhere', '--output', 'o'],
      /ERR_FILE_NOT_FOUND \.\/nowhere does not exist/,
    ],
    [
      'a file where a data set is expected',
      ['eval', '--data', join(library, 'corpus.jsonl'), '--output', 'o'],
      /ERR_FILE_KIND .*corpus\.jsonl is a file, expected a folder in BEIR's layout/,
    ],
    [
      'a recipe that is not JSON',
      ['train', '--config', join(library, 'corpus.jsonl')],
      /ERR_JSON .*corpus\.jsonl is not valid JSON \(.*\); correct it, or download it again\n/,
    ],
    ['another word', [...encode, '--device', 'tpu'], /ERR_USAGE .*auto \| cpu \| cuda/],
    [
      'half of a form of index',
      ['index', '--model', 'm', '--output', 'o'],
      /ERR_USAGE expected either --input, or --model and --data/,
    ],
    [
      'both forms of search',
      ['search', '--index', 'i', '--vectors', 'v', '--queries', 'q'],
      /ERR_USAGE expected either --vectors/,
    ],
    ['half of a form of eval', ['eval', '--qrels', 'q'], /ERR_USAGE --qrels needs --run/],
    [
      'options of the other form of eval',
      ['eval', '--data', 'd', '--output', 'o', '--json'],
      /ERR_USAGE --json needs --qrels and --run/,
    ],
    [
      'a cut of vectors that are there already',
      ['index', '--input', 'v', '--output', 'o', '--threshold', '0'],
      /ERR_USAGE --threshold needs --model and --data/,
    ],
    [
      'an option of the encoder in a search for vectors',
      ['search', '--index', 'i', '--vectors', 'v', '--top-k', '5'],
      /ERR_USAGE --top-k needs --model and --queries/,
    ],
    [
      'an option of the encoder given with its default',
      ['search', '--index', 'i', '--vectors', 'v', '--device', 'auto'],
      /ERR_USAGE --device needs --model and --queries/,
    ],
    [
      'an option of the encoder where a run is scored',
      ['eval', '--qrels', 'q', '--run', 'r', '--max-length', '3'],
      /ERR_USAGE --max-length needs --data and a model \(NAME=MODEL\) among --systems/,
    ],
    [
      'an option of the encoder where no model is compared',
      ['eval', '--data', library, '--output', 'o', '--systems', 'bm25', '--dtype', 'int8'],
      /ERR_USAGE --dtype needs --data and a model \(NAME=MODEL\) among --systems/,
    ],
    [
      'a stream where a file is read more than once',
      ['data', '--data', 'a', '-'],
      /ERR_USAGE --data takes no -, .* write \.\/- for a file/,
    ],
    ['a stream for a page', ['report', 'run', '--output', '-'], /ERR_USAGE --output takes no -/],
    ['a stream for a log', ['report', '-', '--output', 'o'], /ERR_USAGE fles report takes no -/],
    ['a stream for a folder', ['eval', '--data', library, '--output', '-'], /ERR_USAGE --output takes no -/],
    ['no form of eval', ['eval'], /ERR_USAGE expected either --data and --output, or --qrels and --run/],
    [
      'an unknown system',
      ['eval', '--data', library, '--output', 'o', '--systems', 'bm52'],
      /ERR_SYSTEM_UNKNOWN .*did you mean "bm25"\?/,
    ],
    ['resuming a stream', [...encode.slice(0, -1), '-', '--resume'], /ERR_USAGE --resume needs files/],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await fles(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(stderr).not.toContain('    at ');
  });
});

test('--debug adds the stack of an error', async () => {
  const args = ['encode', '--model', './nowhere', '--input', library, '--output', '-'];
  const [plain, debug] = await Promise.all([fles(args), fles([...args, '--debug'])]);
  expect(plain.stderr).toMatch(/^error: ERR_MODEL_NAME [^\n]+\n$/);
  expect(debug.stderr).toMatch(/^error: ERR_MODEL_NAME [^\n]+\nFlesError: [^\n]+\n {4}at /);
});

describe('fles info', () => {
  test('tells the versions, the threads and why a backend is absent', async () => {
    const [text, json] = await Promise.all([fles(['info']), fles(['info', '--json'])]);
    expect(text.code).toBe(0);
    const [info] = jsonLines(json.stdout);
    expect(info).toMatchObject({ version, node: process.version, native: { threads: 1 } });
    expect(text.stdout).toContain(version);
    for (const { name, available, reason, description } of info.native.backends) {
      expect(text.stdout).toMatch(
        new RegExp(`backend ${name} +${available ? description || 'available' : 'absent: '}`),
      );
      expect(available).toBe(reason === '');
    }
  });

  test('tells what a model is', async () => {
    const [text, json] = await Promise.all([
      fles(['info', '--model', tinyModel]),
      fles(['info', '--model', tinyModel, '--json']),
    ]);
    expect(jsonLines(json.stdout)[0].model).toMatchObject({
      directory: tinyModel,
      mode: 'sparse',
      architecture: 'bert',
      config: { vocabularySize: 211, layers: 3 },
      maxLength: 40,
    });
    expect(text.stdout).toMatch(/network +bert, 3 layers, 3 heads, hidden size 36/);
  });

  test('refuses a folder that is no model', async () => {
    const { code, stderr } = await fles(['info', '--model', library]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: ERR_MODEL_/);
  });
});
