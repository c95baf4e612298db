import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModel } from '../../lib/model/model';
import { checkVocabularySize } from '../../lib/text/vocabulary';
import { safetensors } from '../support/safetensors-writer';
import { bert, config, error, renamed } from './model-helpers';
import { bertTensors, C, terms, V } from './tiny-model';

describe('shards', () => {
  const all = Object.entries(bertTensors());
  const one = Object.fromEntries(all.slice(0, 20));
  const two = Object.fromEntries(all.slice(20));
  const map = (names: object, shard: string) => Object.fromEntries(Object.keys(names).map((name) => [name, shard]));
  const index = (weightMap: object) => ({ metadata: { total_size: 1 }, weight_map: weightMap });
  const files = {
    'model.safetensors': undefined,
    'model-00001-of-00002.safetensors': one,
    'model-00002-of-00002.safetensors': two,
    'model.safetensors.index.json': index({
      ...map(one, 'model-00001-of-00002.safetensors'),
      ...map(two, 'model-00002-of-00002.safetensors'),
    }),
  };

  test('are read, each tensor from its file', async () => {
    const directory = bert(files);
    const spec = await readModel(directory);
    expect(spec.files).toEqual([1, 2].map((n) => join(directory, `model-0000${n}-of-00002.safetensors`)));
    const fileOf = (name: string) => spec.tensors.find((tensor) => tensor.name === name)!.file;
    expect([fileOf('embeddings.word.weight'), fileOf('head.bias')]).toEqual([0, 1]);
  });

  test.each([
    [
      'that is missing',
      { 'model-00002-of-00002.safetensors': undefined },
      'ERR_SAFETENSORS_INDEX',
      /model-00002.*is not there/,
    ],
    [
      'outside the folder',
      { 'model.safetensors.index.json': index({ a: '../a.safetensors' }) },
      'ERR_MODEL_PATH',
      /"..\/a.safetensors"/,
    ],
    [
      'with an absolute path',
      { 'model.safetensors.index.json': index({ a: '/etc/a.safetensors' }) },
      'ERR_MODEL_PATH',
      /"\/etc/,
    ],
    [
      'without a tensor that the index promises',
      { 'model-00002-of-00002.safetensors': {} },
      'ERR_SAFETENSORS_INDEX',
      /model-00002.*has no tensor/,
    ],
    ['in an index without map', { 'model.safetensors.index.json': {} }, 'ERR_SAFETENSORS_INDEX', /no weight_map/],
    [
      'that is damaged',
      { 'model-00001-of-00002.safetensors': safetensors(one).subarray(0, -1) },
      'ERR_SAFETENSORS_TRUNCATED',
      /model-00001/,
    ],
  ])('one %s is refused', async (_, changes, code, message) => {
    expect(await error(bert({ ...files, ...changes }))).toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });
});

describe('weights that do not fit', () => {
  const query = 'bert.encoder.layer.1.attention.self.query.weight';

  test('every missing tensor is named with its file', async () => {
    const tensors = bertTensors();
    for (const name of Object.keys(tensors)) {
      const directory = bert({ 'model.safetensors': renamed(tensors, (key) => (key === name ? undefined : key)) });
      expect(await error(directory), name).toMatchObject({
        code: 'ERR_TENSOR_MISSING',
        message: expect.stringMatching(
          new RegExp(`^${join(directory, 'model.safetensors')} has no tensor .*"${name}"`),
        ),
      });
    }
  });

  test('every misshapen tensor is named with its file and both shapes', async () => {
    const tensors = bertTensors();
    for (const [name, tensor] of Object.entries(tensors)) {
      const shape = [...tensor.shape.slice(0, -1), tensor.shape.at(-1)! + 1];
      const directory = bert({ 'model.safetensors': { ...tensors, [name]: { ...tensor, shape } } });
      expect(await error(directory), name).toMatchObject({
        code: 'ERR_TENSOR_SHAPE',
        message: expect.stringContaining(
          `model.safetensors: tensor "${name}" has the shape ${shape.join(' x ')}, expected ${tensor.shape.join(' x ')}`,
        ),
      });
    }
  });

  test('a matrix stored as a list is refused', async () => {
    const tensors = { ...bertTensors(), [query]: { dtype: 'F32', shape: [C * C] } };
    expect(await error(bert({ 'model.safetensors': tensors }))).toMatchObject({ code: 'ERR_TENSOR_SHAPE' });
  });

  test('a type that is no float of 16 or 32 bits is refused', async () => {
    const tensors = { ...bertTensors(), [query]: { dtype: 'F64', shape: [C, C] } };
    expect(await error(bert({ 'model.safetensors': tensors }))).toMatchObject({
      code: 'ERR_TENSOR_TYPE',
      message: expect.stringContaining(`tensor "${query}" is stored as F64, supported are F32, F16 and BF16`),
    });
  });

  test('a file that is cut off is refused', async () => {
    const bytes = safetensors(bertTensors());
    expect(await error(bert({ 'model.safetensors': bytes.subarray(0, -1) }))).toMatchObject({
      code: 'ERR_SAFETENSORS_TRUNCATED',
    });
  });

  test('weights of PyTorch alone are refused with the way to convert them', async () => {
    const directory = bert({ 'model.safetensors': undefined, 'pytorch_model.bin': 'PK' });
    expect(await error(directory)).toMatchObject({
      code: 'ERR_MODEL_WEIGHTS',
      message: expect.stringContaining('has pytorch_model.bin but no model.safetensors; convert it in Python'),
    });
  });

  test('no weights at all are refused', async () => {
    expect(await error(bert({ 'model.safetensors': undefined }))).toMatchObject({ code: 'ERR_MODEL_WEIGHTS' });
  });

  test('a vocabulary with more entries than word embeddings is refused, one with fewer is read', async () => {
    expect(await error(bert({ 'vocab.txt': [...terms, 'more'].join('\n') }))).toMatchObject({
      code: 'ERR_VOCABULARY_SIZE',
      message: expect.stringContaining(`vocab.txt has ${V + 1} entries, expected at most ${V}`),
    });
    expect((await readModel(bert({ 'vocab.txt': terms.slice(0, -1).join('\n') }))).config.vocabularySize).toBe(V);
  });
});

test('a vocabulary may lack what a checkpoint is padded with, but not more', () => {
  const vocabulary = { path: 'vocab.txt', terms: Array<string>(1000).fill('a') } as never;
  expect(() => checkVocabularySize(vocabulary, 1127)).not.toThrow();
  expect(() => checkVocabularySize(vocabulary, 1128)).toThrow(/has 1000 entries, expected at least 1001/);
});

describe('config.json', () => {
  test.each([
    [
      'another network',
      { model_type: 'roberta' },
      'ERR_MODEL_TYPE',
      /"roberta", supported are "bert" and "distilbert"/,
    ],
    ['relative positions', { position_embedding_type: 'relative_key' }, 'ERR_MODEL_CONFIG', /position_embedding_type/],
    ['a decoder', { is_decoder: true }, 'ERR_MODEL_CONFIG', /is_decoder/],
    ['pruned heads', { pruned_heads: { 1: [0] } }, 'ERR_MODEL_CONFIG', /pruned_heads/],
    ['quantisation', { quantization_config: { bits: 8 } }, 'ERR_MODEL_CONFIG', /quantization_config/],
    [
      'heads that do not divide the hidden size',
      { num_attention_heads: 4 },
      'ERR_MODEL_CONFIG',
      /4 attention heads do not divide the hidden size 6/,
    ],
    ['an unknown activation', { hidden_act: 'silu' }, 'ERR_MODEL_CONFIG', /hidden_act is "silu"/],
    ['a size that is no number', { hidden_size: '6' }, 'ERR_MODEL_CONFIG', /hidden_size is "6", expected an integer/],
    ['a missing size', { vocab_size: undefined }, 'ERR_MODEL_CONFIG', /vocab_size is undefined/],
    ['a negative epsilon', { layer_norm_eps: -1 }, 'ERR_MODEL_CONFIG', /layer_norm_eps/],
  ])('asking for %s is refused', async (_, changes, code, message) => {
    const directory = config(changes);
    const reason = await error(directory);
    expect(reason).toMatchObject({ code, message: expect.stringMatching(message) });
    expect((reason as Error).message).toContain(join(directory, 'config.json'));
  });

  test('of the first versions names no model type but its class', async () => {
    expect((await readModel(config({ model_type: undefined }))).architecture).toBe('bert');
    expect(await error(config({ model_type: undefined, architectures: undefined }))).toMatchObject({
      code: 'ERR_MODEL_CONFIG',
    });
  });

  test.each([
    ['gelu_pytorch_tanh', 'gelu_new'],
    ['gelu_python', 'gelu'],
    ['relu', 'relu'],
  ])('names the activation %s, which is %s', async (name, activation) => {
    expect((await readModel(config({ hidden_act: name }))).config.activation).toBe(activation);
  });

  test('is needed, as an object', async () => {
    expect(await error(bert({ 'config.json': undefined }))).toMatchObject({ code: 'ERR_MODEL_MISSING' });
    expect(await error(bert({ 'config.json': '[]' }))).toMatchObject({ code: 'ERR_JSON' });
    expect(await error(bert({ 'config.json': '{"a' }))).toMatchObject({ code: 'ERR_JSON' });
    expect(await error(join(bert(), 'nowhere'))).toMatchObject({ code: 'ERR_FILE_NOT_FOUND' });
    expect(await error(join(bert(), 'config.json'))).toMatchObject({ code: 'ERR_FILE_KIND' });
  });

  test('is not waited for where it is a pipe', async () => {
    const folder = bert({ 'config.json': undefined });
    execFileSync('mkfifo', [join(folder, 'config.json')]);
    expect(await error(folder)).toMatchObject({ code: 'ERR_FILE_KIND' });
  });
});
