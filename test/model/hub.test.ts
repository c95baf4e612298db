import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { download } from '../../lib/model/download';
import { type DownloadProgress, resolveModel } from '../../lib/model/hub';
import { HubClient } from '../../lib/model/hub-client';
import { readModel } from '../../lib/model/model';
import { blob, cache, error, hub, modelFolder, weights } from './hub-setup';
import { folder } from './tiny-model';

describe('a model of the hub', () => {
  test("is downloaded into the layout of Python's huggingface_hub and can be read", async () => {
    const directory = await resolveModel('acme/tiny');
    expect(directory).toBe(join(modelFolder(), 'snapshots', hub.commit));
    expect((await readModel(directory)).mode).toBe('sparse');
    expect(readFileSync(join(modelFolder(), 'refs/main'), 'utf8')).toBe(hub.commit);
    const files = ['config.json', 'model.safetensors', 'tokenizer_config.json', 'vocab.txt'];
    expect(readdirSync(directory).sort()).toEqual(files);
    for (const file of files) {
      expect(lstatSync(join(directory, file)).isSymbolicLink()).toBe(true);
      expect(readlinkSync(join(directory, file))).toBe(join('..', '..', 'blobs', hub.hash(file)));
      expect(readFileSync(blob(file))).toEqual(hub.files.get(file));
    }
    expect(readdirSync(join(modelFolder(), 'blobs')).sort()).toEqual(files.map((file) => hub.hash(file)).sort());
  });

  test('comes with the folders of its sentence-transformers modules, and no others', async () => {
    for (const path of [
      '1_SpladePooling/config.json',
      'query_0_SparseStaticEmbedding/model.safetensors',
      '0_Transformer/sentence_bert_config.json',
      'checkpoint-500/model.safetensors',
      'openvino/config.json',
      'model.fp16.safetensors',
      'modules.json',
      'idf.json',
    ]) {
      hub.files.set(path, Buffer.from(path));
    }
    const directory = await resolveModel('acme/tiny');
    expect(
      (readdirSync(directory, { recursive: true }) as string[]).filter((path) => path.includes('/')).sort(),
    ).toEqual([
      '0_Transformer/sentence_bert_config.json',
      '1_SpladePooling/config.json',
      'query_0_SparseStaticEmbedding/model.safetensors',
    ]);
    expect(readdirSync(directory)).toEqual(expect.arrayContaining(['idf.json', 'modules.json']));
    expect(readdirSync(directory)).not.toContain('model.fp16.safetensors');
  });

  test('comes with its shards only when there is no whole file', async () => {
    hub.files.set('model-00001-of-00001.safetensors', weights);
    hub.files.set('model.safetensors.index.json', Buffer.from('{}'));
    expect(readdirSync(await resolveModel('acme/tiny'))).not.toContain('model.safetensors.index.json');
    hub.files.delete('model.safetensors');
    hub.commit = 'b'.repeat(40);
    expect(readdirSync(await resolveModel('acme/tiny'))).toEqual(
      expect.arrayContaining(['model-00001-of-00001.safetensors', 'model.safetensors.index.json']),
    );
  });

  test('is not downloaded a second time', async () => {
    const first = await resolveModel('acme/tiny');
    hub.seen.length = 0;
    expect(await resolveModel('acme/tiny')).toBe(first);
    expect(hub.fetched).toEqual([]);
  });

  test('that is complete changes nothing in the cache, which may be read-only', async () => {
    const directory = await resolveModel('acme/tiny');
    const ref = statSync(join(modelFolder(), 'refs/main'));
    expect(await resolveModel('acme/tiny')).toBe(directory);
    expect(statSync(join(modelFolder(), 'refs/main'))).toMatchObject({ ino: ref.ino, mtimeMs: ref.mtimeMs });
  });

  test('is downloaded once by two calls at once', async () => {
    const [one, two] = await Promise.all([resolveModel('acme/tiny'), resolveModel('acme/tiny')]);
    expect(one).toBe(two);
    expect(hub.fetched.filter((path) => path.endsWith('config.json'))).toHaveLength(2); // config.json, tokenizer_config.json
    expect(hub.seen.filter(({ server }) => server === 'cdn')).toHaveLength(1);
  });

  test('of a new commit shares the files that did not change', async () => {
    const old = await resolveModel('acme/tiny');
    hub.commit = 'b'.repeat(40);
    hub.files.set('tokenizer_config.json', Buffer.from('{}'));
    hub.seen.length = 0;
    const directory = await resolveModel('acme/tiny');
    expect(directory).not.toBe(old);
    expect(hub.fetched).toEqual([`/acme/tiny/resolve/${hub.commit}/tokenizer_config.json`]);
    expect(readFileSync(join(modelFolder(), 'refs/main'), 'utf8')).toBe(hub.commit);
    expect(readFileSync(join(old, 'tokenizer_config.json'), 'utf8')).toBe('{"do_lower_case":true}');
  });

  test('may be asked for by a revision with a slash', async () => {
    await resolveModel('acme/tiny', { revision: 'refs/pr/1' });
    expect(readFileSync(join(modelFolder(), 'refs/refs/pr/1'), 'utf8')).toBe(hub.commit);
  });

  test('may be kept in a folder of choice', async () => {
    const other = folder({});
    expect(await resolveModel('acme/tiny', { cacheDir: other })).toBe(
      join(other, 'models--acme--tiny/snapshots', hub.commit),
    );
  });

  test('without safetensors is refused before anything is downloaded', async () => {
    hub.files.delete('model.safetensors');
    expect(await error(resolveModel('acme/tiny'))).toMatchObject({
      code: 'ERR_MODEL_WEIGHTS',
      message: expect.stringContaining('acme/tiny has no model.safetensors but pytorch_model.bin'),
    });
    expect(hub.fetched).toEqual([]);
  });
});

describe('a name', () => {
  test('of an existing folder is that folder, without any request', async () => {
    const directory = folder({});
    expect(await resolveModel(directory)).toBe(directory);
    expect(hub.seen).toEqual([]);
  });

  test.each(['tiny model', './acme', 'a/b/c', '/no/such/folder', '../x/y', 'acme/..', 'acme/a--b', '', 'acme/a b'])(
    'that is neither folder nor hub id is refused (%j)',
    async (name) => {
      expect(await error(resolveModel(name))).toMatchObject({ code: 'ERR_MODEL_NAME' });
      expect(hub.seen).toEqual([]);
    },
  );

  test('may have no organisation, as the first models of the hub', async () => {
    expect(await error(resolveModel('bert-base-uncased', { offline: true }))).toMatchObject({
      code: 'ERR_HUB_OFFLINE',
      message: expect.stringContaining('models--bert-base-uncased'),
    });
    expect(await error(resolveModel('mistyped'))).toMatchObject({
      code: 'ERR_HUB_NOT_FOUND',
      message: expect.stringMatching(/nor is there a folder mistyped$/),
    });
    // A path to a folder beside the program looks like an id with an organisation.
    expect(await error(resolveModel('models/mistyped'))).toMatchObject({
      code: 'ERR_HUB_NOT_FOUND',
      message: expect.stringMatching(/nor is there a folder models\/mistyped$/),
    });
  });

  test('of a revision cannot leave the cache', async () => {
    expect(await error(resolveModel('acme/tiny', { revision: '../../x' }))).toMatchObject({ code: 'ERR_MODEL_NAME' });
  });
});

describe('offline', () => {
  test('a cached model is found without any request', async () => {
    const directory = await resolveModel('acme/tiny');
    hub.seen.length = 0;
    expect(await resolveModel('acme/tiny', { offline: true })).toBe(directory);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await resolveModel('acme/tiny')).toBe(directory);
    expect(hub.seen).toEqual([]);
  });

  test('a cached commit is found without any request, online too', async () => {
    const directory = await resolveModel('acme/tiny');
    hub.seen.length = 0;
    expect(await resolveModel('acme/tiny', { revision: hub.commit })).toBe(directory);
    expect(hub.seen).toEqual([]);
  });

  test('a model that is not cached is named with its cache', async () => {
    expect(await error(resolveModel('acme/tiny', { offline: true }))).toMatchObject({
      code: 'ERR_HUB_OFFLINE',
      message: expect.stringContaining(`acme/tiny at main is not in the cache ${modelFolder()}`),
    });
  });

  test('a snapshot without weights, as other programs leave them, is no model', async () => {
    const snapshot = join(modelFolder(), 'snapshots', hub.commit);
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(join(modelFolder(), 'refs'));
    writeFileSync(join(snapshot, 'config.json'), '{}');
    writeFileSync(join(modelFolder(), 'refs/main'), hub.commit);
    expect(await error(resolveModel('acme/tiny', { offline: true }))).toMatchObject({ code: 'ERR_HUB_OFFLINE' });
    expect(await resolveModel('acme/tiny')).toBe(snapshot);
    expect((await readModel(snapshot).catch((reason) => reason)).code).toBe('ERR_MODEL_CONFIG');
  });

  test('by accident, the hub that cannot be reached is named', async () => {
    const { endpoint } = hub;
    await hub.stop();
    expect(await error(resolveModel('acme/tiny'))).toMatchObject({
      code: 'ERR_HUB_NETWORK',
      message: expect.stringContaining(`${endpoint} cannot be reached (ECONNREFUSED)`),
    });
  });

  test('by accident, the model cached before serves', async () => {
    const directory = await resolveModel('acme/tiny');
    await hub.stop();
    expect(await resolveModel('acme/tiny')).toBe(directory);
  });
});

describe('a transfer', () => {
  const cdn = () => hub.seen.filter(({ server }) => server === 'cdn');

  test('that breaks goes on where it was', async () => {
    hub.breaks.set('model.safetensors', [1000, 500]);
    await resolveModel('acme/tiny');
    expect(cdn().map(({ range }) => range)).toEqual([undefined, 'bytes=1000-', 'bytes=1500-']);
    expect(readFileSync(blob('model.safetensors'))).toEqual(weights);
  });

  test('that was given up goes on where it was in the next call', async () => {
    const controller = new AbortController();
    hub.breaks.set('model.safetensors', [1000]);
    hub.onFile = (path) => {
      if (path === 'model.safetensors') setTimeout(() => controller.abort(new Error('enough')), 100);
    };
    expect(await error(resolveModel('acme/tiny', { signal: controller.signal }))).toMatchObject({ message: 'enough' });
    expect(existsSync(blob('model.safetensors'))).toBe(false);
    expect(existsSync(join(modelFolder(), 'snapshots'))).toBe(false);
    expect(readFileSync(`${blob('model.safetensors')}.incomplete`)).toEqual(weights.subarray(0, 1000));
    hub.onFile = undefined;
    await resolveModel('acme/tiny');
    expect(cdn().at(-1)!.range).toBe('bytes=1000-');
    expect(readFileSync(blob('model.safetensors'))).toEqual(weights);
    expect(existsSync(`${blob('model.safetensors')}.incomplete`)).toBe(false);
  });

  test('to a server without ranges begins anew', async () => {
    hub.ignoreRanges = true;
    hub.breaks.set('model.safetensors', [1000]);
    await resolveModel('acme/tiny');
    expect(readFileSync(blob('model.safetensors'))).toEqual(weights);
  });

  test.each(['model.safetensors', 'config.json'])('of a wrong %s is refused and leaves nothing', async (path) => {
    hub.corrupt.add(path);
    expect(await error(resolveModel('acme/tiny'))).toMatchObject({
      code: 'ERR_HUB_HASH',
      message: expect.stringMatching(new RegExp(`${path} does not have the content.*hash ${hub.hash(path)}`)),
    });
    expect(existsSync(blob(path))).toBe(false);
    expect(existsSync(`${blob(path)}.incomplete`)).toBe(false);
    expect(existsSync(join(modelFolder(), 'snapshots'))).toBe(false);
    expect(existsSync(join(modelFolder(), 'refs'))).toBe(false);
    hub.corrupt.clear();
    expect(await resolveModel('acme/tiny')).toContain(hub.commit);
  });

  test.each([
    ['shorter', Buffer.alloc(1000, 7)],
    ['of the full length', Buffer.alloc(weights.length, 7)],
    ['longer', Buffer.alloc(weights.length + 9, 7)],
  ])('after wrong bytes of an earlier one, %s, begins anew', async (_, left) => {
    const path = `${blob('model.safetensors')}.incomplete`;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, left);
    await resolveModel('acme/tiny');
    expect(readFileSync(blob('model.safetensors'))).toEqual(weights);
  });

  test('that breaks every time ends in an error that names the hub', async () => {
    hub.breaks.set('config.json', new Array(20).fill(0));
    const file = { path: 'config.json', size: hub.files.get('config.json')!.length, hash: hub.hash('config.json') };
    const client = new HubClient(hub.endpoint, undefined, undefined, [1, 1, 1, 1]);
    const url = client.fileUrl('acme/tiny', hub.commit, file.path);
    expect(await error(download(client, url, file, join(cache, 'config'), () => {}))).toMatchObject({
      code: 'ERR_HUB_NETWORK',
    });
    expect(hub.fetched).toHaveLength(5);
  });

  test('that breaks at the same byte every time ends too, where a server knows no ranges', async () => {
    hub.ignoreRanges = true;
    hub.breaks.set('model.safetensors', new Array(20).fill(1000));
    const file = { path: 'model.safetensors', size: weights.length, hash: hub.hash('model.safetensors') };
    const client = new HubClient(hub.endpoint, undefined, undefined, [1, 1, 1, 1]);
    const url = client.fileUrl('acme/tiny', hub.commit, file.path);
    expect(await error(download(client, url, file, join(cache, 'weights'), () => {}))).toMatchObject({
      code: 'ERR_HUB_NETWORK',
    });
    expect(hub.seen.length).toBeLessThan(15);
  });

  test('of a new commit that fails leaves the old snapshot in use', async () => {
    const old = await resolveModel('acme/tiny');
    hub.commit = 'b'.repeat(40);
    hub.files.set('config.json', Buffer.from('{"a":1}'));
    hub.corrupt.add('config.json');
    expect(await error(resolveModel('acme/tiny'))).toMatchObject({ code: 'ERR_HUB_HASH' });
    expect(await resolveModel('acme/tiny', { offline: true })).toBe(old);
  });

  test('waits for the lock of a living process and takes over that of a dead one', async () => {
    const lock = join(cache, '.locks/models--acme--tiny', `${hub.hash('config.json')}.fles`);
    mkdirSync(dirname(lock), { recursive: true });
    writeFileSync(lock, `${hostname()} ${process.pid}`);
    const waiting = await error(resolveModel('acme/tiny', { signal: AbortSignal.timeout(300) }));
    expect(waiting).toMatchObject({ name: 'TimeoutError' });
    expect(hub.fetched.some((path) => path.endsWith('/config.json'))).toBe(false);
    const { pid } = spawnSync(process.execPath, ['--version']);
    writeFileSync(lock, `${hostname()} ${pid}`);
    await resolveModel('acme/tiny');
    expect(existsSync(lock)).toBe(false);
  });

  test('that is aborted before it begins sends nothing', async () => {
    expect(await error(resolveModel('acme/tiny', { signal: AbortSignal.abort() }))).toMatchObject({
      name: 'AbortError',
    });
    expect(hub.seen).toEqual([]);
  });
});

test('progress counts the bytes and files of all files up to their totals', async () => {
  const reports: DownloadProgress[] = [];
  hub.breaks.set('model.safetensors', [2000]);
  await resolveModel('acme/tiny', { onProgress: (progress) => reports.push(progress) });
  const paths = ['config.json', 'model.safetensors', 'tokenizer_config.json', 'vocab.txt'];
  const total = paths.reduce((sum, path) => sum + hub.files.get(path)!.length, 0);
  expect(reports.at(-1)).toMatchObject({ received: total, total, filesDone: 4, filesTotal: 4 });
  expect([...new Set(reports.map(({ file }) => file))].sort()).toEqual(paths);
  const received = reports.map((report) => report.received);
  expect(received).toEqual(received.toSorted((a, b) => a - b));
});
