import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlesError } from '../../lib/errors';
import { readIdfTable } from '../../lib/model/idf';
import { readModel } from '../../lib/model/model';
import type { ModelSpec } from '../../lib/model/spec';
import type { TensorData } from '../support/safetensors-writer';
import { bertConfig, bertFiles, bertTensors, folder, terms, V } from './tiny-model';

/** modules.json in the words of sentence-transformers 5 (`old`) or 6. */
const modules = (...list: [path: string, type: string][]) =>
  list.map(([path, type], idx) => ({ idx, name: String(idx), path, type }));
const TRANSFORMER = 'sentence_transformers.base.modules.transformer.Transformer';
const MLM = 'sentence_transformers.sparse_encoder.models.MLMTransformer';
const SPLADE = 'sentence_transformers.sparse_encoder.models.SpladePooling';
const POOLING = 'sentence_transformers.models.Pooling';
const NORMALIZE = 'sentence_transformers.models.Normalize';
const ROUTER = 'sentence_transformers.base.modules.router.Router';
const STATIC = 'sentence_transformers.sparse_encoder.modules.sparse_static_embedding.SparseStaticEmbedding';

const splade = (pooling: object) =>
  folder(
    bertFiles({
      'modules.json': modules(['', MLM], ['1_SpladePooling', SPLADE]),
      '1_SpladePooling/config.json': pooling,
    }),
  );
const dense = (pooling: object, ...more: [string, string][]) =>
  folder(
    bertFiles({
      'modules.json': modules(['', TRANSFORMER], ['1_Pooling', POOLING], ...more),
      '1_Pooling/config.json': pooling,
    }),
  );
const below = (path: string, files: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [`${path}/${name}`, content]));
const error = (directory: string) =>
  readModel(directory).then(
    () => expect.unreachable('the model was read'),
    (reason: unknown) => reason,
  );

describe('SpladePooling', () => {
  test.each([
    [{ pooling_strategy: 'max', activation_function: 'relu', word_embedding_dimension: V }, 'max'],
    [{ pooling_strategy: 'sum', activation_function: 'relu', embedding_dimension: null }, 'sum'],
    [{ pooling_strategy: 'max', activation_function: 'log1p_relu' }, 'log1p_log1p'],
    [{ pooling_strategy: 'sum', activation_function: 'log1p_relu' }, 'sum_log1p_log1p'],
    [{}, 'max'],
  ])('%j is the pooling %s', async (pooling, expected) => {
    expect(await readModel(splade(pooling))).toMatchObject({ mode: 'sparse', sparse: { pooling: expected } });
  });

  test('of another kind is refused', async () => {
    const directory = splade({ pooling_strategy: 'mean', activation_function: 'relu' });
    expect(await error(directory)).toMatchObject({
      code: 'ERR_MODEL_POOLING',
      message: expect.stringContaining('pools by "mean" of "relu"'),
    });
  });

  test('needs a head', async () => {
    const tensors = Object.fromEntries(Object.entries(bertTensors()).filter(([name]) => !name.startsWith('cls.')));
    const directory = folder(
      bertFiles({
        'config.json': { ...bertConfig, architectures: ['BertModel'] },
        'model.safetensors': tensors,
        'modules.json': modules(['', MLM], ['1_SpladePooling', SPLADE]),
      }),
    );
    expect(await error(directory)).toMatchObject({ code: 'ERR_TENSOR_MISSING' });
  });
});

describe('modules in an order that computes something else are refused:', () => {
  test.each([
    ['Normalize behind SpladePooling', ['1_SpladePooling', SPLADE], ['2_Normalize', NORMALIZE]],
    ['Normalize before Pooling', ['1_Normalize', NORMALIZE], ['2_Pooling', POOLING]],
    ['a second pooling', ['1_Pooling', POOLING], ['2_SpladePooling', SPLADE]],
  ] satisfies [string, ...[string, string][]][])('%s', async (_, ...more) => {
    const directory = folder(bertFiles({ 'modules.json': modules(['', MLM], ...(more as [string, string][])) }));
    expect(await error(directory)).toMatchObject({
      code: 'ERR_MODEL_MODULE',
      message: expect.stringContaining('expected one pooling, and Normalize behind Pooling alone'),
    });
  });
});

describe('dense pooling', () => {
  test.each([
    [
      'mean, by the switches of old versions',
      { pooling_mode_cls_token: false, pooling_mode_mean_tokens: true },
      'mean',
    ],
    ['cls, by the switches of old versions', { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }, 'cls'],
    ['mean, by name', { embedding_dimension: 6, pooling_mode: 'mean', include_prompt: true }, 'mean'],
    ['cls, by a list of one', { pooling_mode: ['cls'] }, 'cls'],
    ['mean, by default', {}, 'mean'],
  ])('is %s', async (_, pooling, expected) => {
    const spec = await readModel(dense(pooling));
    expect(spec).toMatchObject({ mode: 'dense', dense: { pooling: expected, normalize: false } });
  });

  test.each([
    ['two switches', { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true }, /"cls \+ mean"/],
    ['the last token', { pooling_mode: 'lasttoken' }, /"lasttoken"/],
    ['the root of the length', { pooling_mode_mean_sqrt_len_tokens: true }, /"mean_sqrt_len"/],
  ])('by %s is refused', async (_, pooling, message) => {
    expect(await error(dense(pooling))).toMatchObject({
      code: 'ERR_MODEL_POOLING',
      message: expect.stringMatching(message),
    });
  });

  test('followed by Normalize gives vectors of length one', async () => {
    expect((await readModel(dense({}, ['2_Normalize', NORMALIZE]))).dense).toEqual({
      pooling: 'mean',
      normalize: true,
    });
  });

  test('of a checkpoint that has a head keeps the head for those who ask', async () => {
    const spec = await readModel(dense({}), { mode: 'sparse' });
    expect(spec).toMatchObject({ mode: 'sparse', hasHead: true });
  });

  test('may drop the head that its class promises', async () => {
    const tensors = Object.fromEntries(Object.entries(bertTensors()).filter(([name]) => !name.startsWith('cls.')));
    const files = { 'model.safetensors': tensors, 'modules.json': modules(['', TRANSFORMER], ['1_Pooling', POOLING]) };
    expect(await readModel(folder(bertFiles(files)))).toMatchObject({ mode: 'dense', hasHead: false });
  });
});

describe('modules.json', () => {
  test('may put the network into a folder of its own', async () => {
    const directory = folder({
      'modules.json': modules(['0_Transformer', 'sentence_transformers.models.Transformer'], ['1_Pooling', POOLING]),
      '1_Pooling/config.json': { pooling_mode_cls_token: true },
      ...below('0_Transformer', bertFiles({ 'sentence_distilbert_config.json': { max_seq_length: 4 } })),
    });
    expect(await readModel(directory)).toMatchObject({
      directory,
      networkDirectory: join(directory, '0_Transformer'),
      files: [join(directory, '0_Transformer/model.safetensors')],
      maxLength: 4,
      dense: { pooling: 'cls', normalize: false },
    });
  });

  test.each(['../other', '/etc', 'a/../../b'])('may not lead out of the folder (%s)', async (path) => {
    const directory = folder(bertFiles({ 'modules.json': modules([path, TRANSFORMER]) }));
    expect(await error(directory)).toMatchObject({
      code: 'ERR_MODEL_PATH',
      message: expect.stringContaining(`"${path}"`),
    });
  });

  test.each([
    [
      'a dense layer',
      modules(['', TRANSFORMER], ['1_Pooling', POOLING], ['2_Dense', 'sentence_transformers.models.Dense']),
      'ERR_MODEL_MODULE',
      /"Dense"/,
    ],
    ['a bag of words', modules(['0_BoW', 'sentence_transformers.models.BoW']), 'ERR_MODEL_MODULE', /"BoW"/],
    ['no module', [], 'ERR_MODEL_CONFIG', /expected a list of modules/],
    ['an object', {}, 'ERR_MODEL_CONFIG', /expected a list of modules/],
    ['a module without type', [{ path: '' }], 'ERR_MODEL_CONFIG', /type is undefined/],
  ])('with %s is refused', async (_, list, code, message) => {
    const directory = folder(bertFiles({ 'modules.json': list }));
    expect(await error(directory)).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe('prompts', () => {
  const prompts = async (settings: object) =>
    (await readModel(folder(bertFiles({ 'config_sentence_transformers.json': settings })))).prompts;

  test('are those that encode_query and encode_document choose', async () => {
    expect(await prompts({ prompts: { query: 'query: ', passage: 'passage: ' } })).toEqual({
      query: 'query: ',
      document: 'passage: ',
    });
    expect(await prompts({ prompts: { query: '', document: '' } })).toEqual({ query: '', document: '' });
    expect(await prompts({ prompts: { a: 'A ' }, default_prompt_name: 'a' })).toEqual({ query: 'A ', document: 'A ' });
    expect(await prompts({})).toEqual({ query: '', document: '' });
  });

  test('left out of the pooling are refused', async () => {
    const files = {
      'modules.json': modules(['', TRANSFORMER], ['1_Pooling', POOLING]),
      '1_Pooling/config.json': { pooling_mode: 'mean', include_prompt: false },
      'config_sentence_transformers.json': { prompts: { query: 'q: ' } },
    };
    expect(await error(folder(bertFiles(files)))).toMatchObject({ code: 'ERR_MODEL_POOLING' });
  });
});

describe('a table of query weights', () => {
  const table = { a: 1.5, '##x': 0, f: 2 };
  const vocabulary = terms.map((term) => (term === 'b' ? '##x' : term));

  test('beside a plain checkpoint is what queries are weighed by', async () => {
    const spec = await readModel(folder(bertFiles({ 'vocab.txt': vocabulary.join('\n'), 'idf.json': table })));
    expect(spec).toMatchObject({ queryKind: 'idf', mode: 'sparse', idf: { format: 'json' } });
    const weights = await readIdfTable(spec, vocabulary);
    expect([...weights]).toEqual([0, 0, 0, 0, 0, 1.5, 0, 0, 0, 0, 2]);
  });

  test('beside modules.json without router serves only those who ask', async () => {
    const files = { 'modules.json': modules(['', MLM], ['1_SpladePooling', SPLADE]), 'idf.json': table };
    const directory = folder(bertFiles(files));
    expect((await readModel(directory)).queryKind).toBe('encoder');
    expect((await readModel(directory, { queryKind: 'idf' })).idf).toEqual({
      path: join(directory, 'idf.json'),
      format: 'json',
    });
  });

  const routerConfig = (documentPath: string) => ({
    types: { query_0_SparseStaticEmbedding: STATIC, [documentPath]: TRANSFORMER, document_1_SpladePooling: SPLADE },
    structure: { query: ['query_0_SparseStaticEmbedding'], document: [documentPath, 'document_1_SpladePooling'] },
    parameters: { default_route: 'document', allow_empty_key: true, route_mappings: {} },
  });
  const routed = (weight: TensorData) => ({
    'modules.json': modules(['', ROUTER]),
    'router_config.json': routerConfig('document_0_Transformer'),
    'query_0_SparseStaticEmbedding/config.json': { frozen: true },
    'query_0_SparseStaticEmbedding/model.safetensors': { weight },
    'document_1_SpladePooling/config.json': { pooling_strategy: 'max', activation_function: 'log1p_relu' },
    ...below('document_0_Transformer', bertFiles()),
  });

  test.each(['F32', 'F16', 'BF16'] as const)(
    'in the router of sentence-transformers, stored as %s, is read',
    async (dtype) => {
      const directory = folder(routed({ dtype, shape: [V - 1], value: (i) => i / 2 - 1 }));
      const spec = await readModel(directory);
      expect(spec).toMatchObject({
        networkDirectory: join(directory, 'document_0_Transformer'),
        mode: 'sparse',
        sparse: { pooling: 'log1p_log1p' },
        queryKind: 'idf',
      });
      expect([...(await readIdfTable(spec, terms))]).toEqual([-1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 0]);
    },
  );

  test('may be a JSON file in the root, beside a network in the root', async () => {
    const directory = folder({
      ...bertFiles(),
      'modules.json': modules(['', 'sentence_transformers.models.Router']),
      'router_config.json': routerConfig(''),
      'query_0_SparseStaticEmbedding/config.json': { path: 'idf.json' },
      'idf.json': { a: 1 },
    });
    const spec = await readModel(directory);
    expect(spec).toMatchObject({
      networkDirectory: directory,
      queryKind: 'idf',
      idf: { path: join(directory, 'idf.json') },
    });
  });

  test('does not replace a query network: such routers are refused', async () => {
    const config = routerConfig('document_0_Transformer');
    config.types.query_0_SparseStaticEmbedding = TRANSFORMER;
    const directory = folder({ ...routed({ dtype: 'F32', shape: [V] }), 'router_config.json': config });
    expect(await error(directory)).toMatchObject({
      code: 'ERR_MODEL_MODULE',
      message: expect.stringContaining('the query route is Transformer'),
    });
  });

  test.each([
    ['a longer tensor than the vocabulary', { dtype: 'F32', shape: [V + 1] }, 'ERR_TENSOR_SHAPE'],
    ['a matrix', { dtype: 'F32', shape: [V, 1] }, 'ERR_TENSOR_SHAPE'],
    ['whole numbers', { dtype: 'I64', shape: [V] }, 'ERR_TENSOR_TYPE'],
    ['an infinite weight', { dtype: 'F32', shape: [V], value: () => Number.POSITIVE_INFINITY }, 'ERR_MODEL_IDF'],
  ] as [string, TensorData, string][])('of %s is refused', async (_, weight, code) => {
    const spec = await readModel(folder(routed(weight)));
    await expect(readIdfTable(spec, terms)).rejects.toMatchObject({ code });
  });

  test.each([
    ['a term that the vocabulary lacks', { zebra: 1 }, /weighs the term "zebra"/],
    ['a weight that is no number', { a: '1' }, /weight of "a" is "1"/],
  ])('with %s is refused', async (_, content, message) => {
    const spec = await readModel(folder(bertFiles({ 'idf.json': content })));
    await expect(readIdfTable(spec, terms)).rejects.toMatchObject({
      code: 'ERR_MODEL_IDF',
      message: expect.stringMatching(message),
    });
  });
});

describe('fuzzing', () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.integer(),
    fc.constantFrom('max', 'mean', '', '..', true, null, -1, 2 ** 40),
  );
  const keys = [...Object.keys(bertConfig), 'type', 'path', 'types', 'structure', 'query', 'document', 'prompts', 'a'];
  const object = fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), value, { maxKeys: 6 });
  const json = fc.oneof(
    object,
    object.map((changes) => ({ ...bertConfig, ...changes })),
    fc.array(object, { maxLength: 3 }),
    value,
  );

  test.each([
    'config.json',
    'modules.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'sentence_bert_config.json',
    'config_sentence_transformers.json',
    'model.safetensors.index.json',
  ])('any JSON as %s gives a model or a FlesError', async (name) => {
    const directory = folder(bertFiles(name.includes('index') ? { 'model.safetensors': undefined } : {}));
    await fc.assert(
      fc.asyncProperty(json, async (content) => {
        writeFileSync(join(directory, name), JSON.stringify(content) ?? 'null');
        const result = await readModel(directory).catch((reason: unknown) => reason);
        expect(result instanceof FlesError || (result as ModelSpec).directory === directory).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
