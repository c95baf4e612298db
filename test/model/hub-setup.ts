import { join } from 'node:path';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { safetensors } from '../support/safetensors-writer';
import { FakeHub } from './hub-server';
import { bertConfig, bertTensors, folder, terms } from './tiny-model';

export const weights = safetensors(bertTensors());

/** Before every test: a hub with the model acme/tiny, an empty cache, and an environment that names both. */
export let hub: FakeHub;
export let cache: string;

beforeEach(async () => {
  hub = await new FakeHub().start();
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  hub.files = new Map([
    ['.gitattributes', Buffer.from('*.safetensors filter=lfs')],
    ['README.md', Buffer.from('# Tiny')],
    ['config.json', json(bertConfig)],
    ['vocab.txt', Buffer.from(terms.join('\n'))],
    ['tokenizer_config.json', json({ do_lower_case: true })],
    ['model.safetensors', weights],
    ['pytorch_model.bin', Buffer.alloc(99)],
    ['onnx/model.onnx', Buffer.alloc(99)],
    ['onnx/config.json', Buffer.alloc(2)],
  ]);
  hub.large = new Set(['model.safetensors', 'pytorch_model.bin', 'onnx/model.onnx']);
  cache = folder({});
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_CACHE', cache);
  vi.stubEnv('HF_HOME', folder({}));
  for (const name of [
    'HF_TOKEN',
    'HUGGING_FACE_HUB_TOKEN',
    'HF_TOKEN_PATH',
    'HF_HUB_OFFLINE',
    'TRANSFORMERS_OFFLINE',
  ]) {
    vi.stubEnv(name, undefined);
  }
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.stop();
});

export const modelFolder = () => join(cache, 'models--acme--tiny');
export const blob = (path: string) => join(modelFolder(), 'blobs', hub.hash(path));
/** What a call that must fail is rejected with. */
export const error = (call: Promise<unknown>) =>
  call.then(
    () => expect.unreachable('the call succeeded'),
    (reason: unknown) => reason,
  );
