import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModel } from '../../lib/model/model';
import { locate, modelNames, readModelFixture } from '../support/fixtures';
import { bert, error, renamed } from './model-helpers';
import { bertConfig, bertTensors, C, distilbertConfig, distilbertTensors, I, P, V } from './tiny-model';

describe('a plain BERT folder', () => {
  test('is read with its sizes, every tensor under its canonical name and in its place', async () => {
    const directory = bert();
    const spec = await readModel(directory);
    expect(spec).toMatchObject({
      directory,
      networkDirectory: directory,
      architecture: 'bert',
      config: {
        vocabularySize: V,
        hiddenSize: C,
        layers: 2,
        heads: 3,
        intermediateSize: I,
        maxPositions: P,
        typeVocabularySize: 2,
        layerNormEps: 1e-12,
        activation: 'gelu',
      },
      hasHead: true,
      maxLength: P,
      sparse: { pooling: 'max' },
      dense: { pooling: 'mean', normalize: false },
      mode: 'sparse',
      queryKind: 'encoder',
      prompts: { query: '', document: '' },
      files: [join(directory, 'model.safetensors')],
      storage: 'F32',
    });
    expect(spec.idf).toBeUndefined();
    const layer = (n: number) =>
      ['query', 'key', 'value', 'output', 'norm']
        .map((part) => `layers.${n}.attention.${part}`)
        .concat(['in', 'out', 'norm'].map((part) => `layers.${n}.feedforward.${part}`));
    const pairs = ['embeddings.norm', ...layer(0), ...layer(1), 'head.transform', 'head.norm'];
    const expected = pairs
      .flatMap((name) => [`${name}.weight`, `${name}.bias`])
      .concat(
        ['word', 'position', 'type'].map((name) => `embeddings.${name}.weight`),
        'head.bias',
      );
    expect(spec.tensors.map(({ name }) => name).sort()).toEqual(expected.sort());
  });

  test('gives each tensor the bytes that the file has under its name', async () => {
    const directory = bert();
    const spec = await readModel(directory);
    const bytes = readFileSync(spec.files[0]!);
    const names = Object.keys(bertTensors());
    // The writer fills tensor i with the value i.
    const written = (name: string) => names.indexOf(name);
    const first = (name: string) => bytes.readFloatLE(spec.tensors.find((tensor) => tensor.name === name)!.offset);
    expect(first('embeddings.type.weight')).toBe(written('bert.embeddings.token_type_embeddings.weight'));
    expect(first('layers.1.attention.value.bias')).toBe(written('bert.encoder.layer.1.attention.self.value.bias'));
    expect(first('layers.0.feedforward.norm.weight')).toBe(written('bert.encoder.layer.0.output.LayerNorm.weight'));
    expect(first('head.norm.bias')).toBe(written('cls.predictions.transform.LayerNorm.bias'));
  });

  test('counts the parameters that the network uses', async () => {
    const embeddings = (V + P + 2) * C + 2 * C;
    const layer = 4 * (C * C + C) + 2 * C + (I * C + I) + (C * I + C) + 2 * C;
    const head = C * C + C + 2 * C + V;
    expect((await readModel(bert())).parameters).toBe(embeddings + 2 * layer + head);
  });

  test('is read alike without the prefix bert.', async () => {
    const spec = await readModel(bert({ 'model.safetensors': bertTensors('F32', '') }));
    expect(spec.tensors).toEqual((await readModel(bert())).tensors.map((t) => ({ ...t, offset: expect.any(Number) })));
  });

  test('is read with the old names gamma and beta', async () => {
    const old = renamed(bertTensors(), (name) =>
      name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'),
    );
    expect(Object.keys(old).filter((name) => /gamma|beta/.test(name))).toHaveLength(12);
    expect((await readModel(bert({ 'model.safetensors': old }))).tensors).toHaveLength(42);
  });

  test('may hold position_ids, a pooler and a next-sentence head, which are ignored', async () => {
    const tensors = {
      'bert.embeddings.position_ids': { dtype: 'I64' as const, shape: [1, P], value: (i: number) => i },
      ...bertTensors(),
      'bert.pooler.dense.weight': { dtype: 'F32' as const, shape: [C, C] },
      'bert.pooler.dense.bias': { dtype: 'F32' as const, shape: [C] },
      'cls.seq_relationship.weight': { dtype: 'F64' as const, shape: [2, C] },
    };
    const spec = await readModel(bert({ 'model.safetensors': tensors }));
    expect(spec.tensors).toEqual((await readModel(bert())).tensors.map((t) => ({ ...t, offset: expect.any(Number) })));
  });

  test.each(['F16', 'BF16'] as const)('stored as %s is read so even when config.json says float32', async (dtype) => {
    const directory = bert({
      'config.json': { ...bertConfig, dtype: 'float32', torch_dtype: 'float32' },
      'model.safetensors': bertTensors(dtype),
    });
    const spec = await readModel(directory);
    expect(spec.storage).toBe(dtype);
    expect(new Set(spec.tensors.map((tensor) => tensor.dtype))).toEqual(new Set([dtype]));
  });

  test('without head is dense, and its tensors end with the last layer', async () => {
    const tensors = renamed(bertTensors('F32', ''), (name) => (name.startsWith('cls.') ? undefined : name));
    const directory = bert({
      'config.json': { ...bertConfig, architectures: ['BertModel'] },
      'model.safetensors': tensors,
    });
    const spec = await readModel(directory);
    expect(spec).toMatchObject({ hasHead: false, mode: 'dense', dense: { pooling: 'mean', normalize: false } });
    expect(spec.sparse).toBeUndefined();
    expect(spec.tensors.at(-1)!.name).toBe('layers.1.feedforward.norm.bias');
  });
});

describe('the decoder of the head', () => {
  const decoder = 'cls.predictions.decoder.weight';
  const word = 'bert.embeddings.word_embeddings.weight';
  const has = async (directory: string) =>
    (await readModel(directory)).tensors.some(({ name }) => name === 'head.decoder.weight');

  test('is tied when it is not stored', async () => {
    expect(await has(bert())).toBe(false);
  });

  test('is tied when it is stored as a duplicate', async () => {
    const tensors = bertTensors();
    expect(await has(bert({ 'model.safetensors': { ...tensors, [decoder]: tensors[word] } }))).toBe(false);
  });

  test('is its own when its bytes differ, whatever config.json says, as in transformers 5', async () => {
    const own = { dtype: 'F32' as const, shape: [V, C], value: (i: number) => (i === V * C - 1 ? 1 : 0) };
    expect(await has(bert({ 'model.safetensors': { ...bertTensors(), [decoder]: own } }))).toBe(true);
  });

  test('is its own when config.json says untied', async () => {
    const tensors = bertTensors();
    const untied = { ...bertConfig, tie_word_embeddings: false };
    const files = { 'config.json': untied, 'model.safetensors': { ...tensors, [decoder]: tensors[word] } };
    expect(await has(bert(files))).toBe(true);
    expect(await error(bert({ 'config.json': untied }))).toMatchObject({
      code: 'ERR_TENSOR_MISSING',
      message: expect.stringContaining('no tensor "cls.predictions.decoder.weight" (head.decoder.weight)'),
    });
  });

  test('stands for the word embeddings when a writer of shared tensors kept only its name', async () => {
    const tensors = renamed(bertTensors(), (name) => (name === word ? decoder : name));
    const spec = await readModel(bert({ 'model.safetensors': tensors }));
    expect(spec.tensors.map(({ name }) => name)).not.toContain('head.decoder.weight');
    expect(spec.tensors[0]).toMatchObject({ name: 'embeddings.word.weight', shape: [V, C] });
  });

  test('may name its bias decoder.bias', async () => {
    const tensors = renamed(bertTensors(), (name) => name.replace('predictions.bias', 'predictions.decoder.bias'));
    expect((await readModel(bert({ 'model.safetensors': tensors }))).tensors.at(-1)!.name).toBe('head.bias');
  });
});

describe('a DistilBERT folder', () => {
  const files = { 'config.json': distilbertConfig, 'model.safetensors': distilbertTensors('F16') };

  test('is read with its own names and has no token types', async () => {
    const spec = await readModel(bert(files));
    expect(spec).toMatchObject({
      architecture: 'distilbert',
      config: { vocabularySize: V, hiddenSize: C, layers: 2, heads: 3, intermediateSize: I, typeVocabularySize: 0 },
      hasHead: true,
      mode: 'sparse',
    });
    const names = spec.tensors.map(({ name }) => name);
    const berts = (await readModel(bert())).tensors.map(({ name }) => name);
    expect(names.sort()).toEqual(berts.filter((name) => name !== 'embeddings.type.weight').sort());
  });

  test("is read with BERT's names of the sizes in config.json", async () => {
    const { dim, n_layers, n_heads, ...others } = distilbertConfig;
    const aliases = { hidden_size: dim, num_hidden_layers: n_layers, num_attention_heads: n_heads };
    const spec = await readModel(bert({ ...files, 'config.json': { ...others, ...aliases } }));
    expect(spec.config).toMatchObject({ hiddenSize: C, layers: 2, heads: 3 });
  });
});

describe('the maximum length', () => {
  test.each([
    [
      'max_seq_length of sentence-transformers',
      { 'sentence_bert_config.json': { max_seq_length: 5 }, 'tokenizer_config.json': { model_max_length: 7 } },
      5,
    ],
    [
      'model_max_length of the tokenizer',
      { 'sentence_bert_config.json': { max_seq_length: null }, 'tokenizer_config.json': { model_max_length: 7 } },
      7,
    ],
    [
      'the positions when the tokenizer is unlimited',
      { 'tokenizer_config.json': '{"model_max_length": 1000000000000000019884624838656}' },
      P,
    ],
    ['the positions when more is asked for', { 'sentence_bert_config.json': { max_seq_length: 512 } }, P],
    ['the positions when nothing is said', {}, P],
  ])('is %s', async (_, files, maxLength) => {
    expect((await readModel(bert(files))).maxLength).toBe(maxLength);
  });

  test('leaves room for [CLS] and [SEP]', async () => {
    const directory = bert({ 'sentence_bert_config.json': { max_seq_length: 1 } });
    expect(await error(directory)).toMatchObject({ code: 'ERR_MODEL_CONFIG' });
  });
});

describe('overrides', () => {
  test('replace what the folder says', async () => {
    const spec = await readModel(bert(), {
      mode: 'dense',
      pooling: 'sum',
      denseMode: { pooling: 'cls', normalize: true },
      queryKind: 'bag',
    });
    expect(spec).toMatchObject({
      mode: 'dense',
      sparse: { pooling: 'sum' },
      dense: { pooling: 'cls', normalize: true },
      queryKind: 'bag',
    });
  });

  test('ask in vain for sparse vectors without head and for weights without table', async () => {
    const tensors = renamed(bertTensors(), (name) => (name.startsWith('cls.') ? undefined : name));
    const headless = bert({
      'config.json': { ...bertConfig, architectures: ['BertModel'] },
      'model.safetensors': tensors,
    });
    expect(await error(headless, { mode: 'sparse' })).toMatchObject({
      code: 'ERR_MODEL_HEAD',
      message: expect.stringMatching(
        /; use another model, or load this one for dense vectors \(mode: "dense" in JavaScript\)$/,
      ),
    });
    expect(await error(bert(), { queryKind: 'idf' })).toMatchObject({ code: 'ERR_MODEL_IDF' });
  });

  test('that are not known are refused', async () => {
    expect(await error(bert(), { pooling: 'mean' })).toMatchObject({ code: 'ERR_OPTION_VALUE' });
    expect(await error(bert(), { polling: 'max' })).toMatchObject({ code: 'ERR_OPTION_UNKNOWN' });
  });
});

test.each(modelNames)('the random model %s is read', async (name) => {
  const spec = await readModel(readModelFixture(name).directory);
  expect(spec.hasHead).toBe(true);
  expect(spec.tensors.some((tensor) => tensor.name === 'head.decoder.weight')).toBe(name === 'bert-untied');
});

const models = locate('FLES_MODELS', 'splade-tiny', 'minilm-l6-h384');

test.skipIf(!models.found)(`splade-tiny is a sparse BERT of 4,416,698 parameters${models.reason}`, async () => {
  const spec = await readModel(join(models.directory, 'splade-tiny'));
  expect(spec).toMatchObject({
    mode: 'sparse',
    parameters: 4_416_698,
    storage: 'F32',
    maxLength: 512,
    sparse: { pooling: 'max' },
  });
});

test.skipIf(!models.found)(`minilm-l6-h384 is a dense, normalised BERT stored as F16${models.reason}`, async () => {
  const spec = await readModel(join(models.directory, 'minilm-l6-h384'));
  // The pooler (384 x 384 + 384), which the published count of 22,713,216 includes, is not used.
  expect(spec).toMatchObject({
    mode: 'dense',
    hasHead: false,
    parameters: 22_713_216 - 384 * 385,
    storage: 'F16',
    maxLength: 256,
  });
  expect(spec.dense).toEqual({ pooling: 'mean', normalize: true });
});
