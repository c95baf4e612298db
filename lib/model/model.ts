import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkChoice, checkKeys, checkString } from '../check';
import { FlesError, fileError } from '../errors';
import { checkVocabularySize, readVocabulary } from '../text/vocabulary';
import { readNetworkConfig } from './config';
import { JsonFile, readJsonFile } from './json';
import { readLayout } from './modules';
import type { DensePooling, ModelSpec, Pooling, QueryKind, TensorPlace, WeightType } from './spec';
import { planTensors } from './tensors';
import { readWeightFiles } from './weight-files';

/** What the caller knows better than the folder. */
export interface ModelOverrides {
  mode?: 'sparse' | 'dense';
  pooling?: Pooling;
  denseMode?: { pooling?: DensePooling; normalize?: boolean };
  queryKind?: QueryKind;
}

/** Settings of the Transformer module; the name depended on the network in old versions. */
const TRANSFORMER_SETTINGS = ['sentence_bert_config.json', 'sentence_distilbert_config.json'];

/**
 * Reads everything about a model folder except the weights, and checks all of it: config.json, the sentence-transformers
 * layout if there is one, the headers of the safetensors files, name, shape and type of every tensor of the network,
 * and that the vocabulary fits the embeddings. docs/models.md describes the layouts.
 *
 * @param directory a local folder (`resolveModel` makes one of a hub id)
 * @param overrides what to use instead of what the folder says
 * @throws FlesError with a code of docs/models.md that names the file, and the tensor or field
 */
export async function readModel(directory: string, overrides: ModelOverrides = {}): Promise<ModelSpec> {
  checkKeys(overrides, ['mode', 'pooling', 'denseMode', 'queryKind']);
  const root = resolve(checkString('the directory', directory));
  await checkDirectory(root);
  const layout = await readLayout(root);
  const network = layout.networkDirectory;
  const description = await readNetworkConfig(join(network, 'config.json'));
  const { config } = description;
  const maxLength = await readMaxLength(network, config.maxPositions);
  const vocabulary = await readVocabulary(network);
  if (vocabulary) checkVocabularySize(vocabulary, config.vocabularySize);
  const weights = await readWeightFiles(network);
  // A dense model may drop the head its class would have.
  const wantsHead = description.promisesHead && layout.mode !== 'dense' && overrides.mode !== 'dense';
  const { tensors, hasHead } = await planTensors(
    { ...description, promisesHead: wantsHead || layout.mode === 'sparse' },
    weights,
  );
  const spec: ModelSpec = {
    directory: root,
    networkDirectory: network,
    architecture: description.architecture,
    config,
    hasHead,
    maxLength,
    ...(hasHead && { sparse: { pooling: layout.pooling } }),
    dense: layout.dense,
    mode: layout.mode ?? (hasHead ? 'sparse' : 'dense'),
    queryKind: layout.queryKind,
    ...(layout.idf && { idf: layout.idf }),
    prompts: layout.prompts,
    files: weights.files,
    tensors,
    ...count(tensors),
  };
  applyOverrides(spec, overrides);
  return spec;
}

async function checkDirectory(directory: string): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (error) {
    throw fileError(error, directory);
  }
  throw new FlesError('ERR_FILE_KIND', `${directory} is not a directory, expected a model folder`);
}

async function readMaxLength(network: string, maxPositions: number): Promise<number> {
  for (const name of TRANSFORMER_SETTINGS) {
    const settings = await readJsonFile(join(network, name));
    if (settings?.has('max_seq_length')) {
      return Math.min(settings.integer('max_seq_length', 2, Number.MAX_SAFE_INTEGER), maxPositions);
    }
  }
  const path = join(network, 'tokenizer_config.json');
  const tokenizer = (await readJsonFile(path)) ?? new JsonFile(path, {});
  // Unlimited is written as 1e30.
  const limit = tokenizer.value.model_max_length ?? maxPositions;
  if (typeof limit !== 'number' || limit < 2)
    throw tokenizer.error('model_max_length', 'expected a number of at least 2');
  return Math.min(limit, maxPositions);
}

function count(tensors: TensorPlace[]): { parameters: number; storage: WeightType } {
  const elements = new Map<WeightType, number>();
  for (const { dtype, shape } of tensors) {
    elements.set(dtype, (elements.get(dtype) ?? 0) + shape.reduce((product, size) => product * size, 1));
  }
  const [storage] = [...elements].reduce((most, item) => (item[1] > most[1] ? item : most));
  return { parameters: [...elements.values()].reduce((sum, size) => sum + size, 0), storage };
}

function applyOverrides(spec: ModelSpec, overrides: ModelOverrides): void {
  const { mode, pooling, denseMode, queryKind } = overrides;
  if (mode !== undefined) spec.mode = checkChoice('mode', mode, ['sparse', 'dense']);
  if (spec.mode === 'sparse' && !spec.hasHead) {
    throw new FlesError(
      'ERR_MODEL_HEAD',
      `${spec.directory} has no masked-language-model head, which sparse vectors come from; use another model, or load this one for dense vectors (mode: "dense" in JavaScript)`,
    );
  }
  if (pooling !== undefined) {
    checkChoice('pooling', pooling, ['max', 'sum', 'log1p_log1p', 'sum_log1p_log1p']);
    if (spec.sparse) spec.sparse = { pooling };
  }
  if (denseMode !== undefined) {
    checkKeys(denseMode, ['pooling', 'normalize']);
    if (denseMode.pooling !== undefined) checkChoice('denseMode.pooling', denseMode.pooling, ['mean', 'cls']);
    const { pooling = spec.dense!.pooling, normalize = spec.dense!.normalize } = denseMode;
    spec.dense = { pooling, normalize };
  }
  if (queryKind !== undefined) spec.queryKind = checkChoice('queryKind', queryKind, ['encoder', 'bag', 'idf']);
  if (spec.queryKind === 'idf' && !spec.idf) {
    throw new FlesError(
      'ERR_MODEL_IDF',
      `${spec.directory} has no table of query weights (idf.json), which queryKind "idf" needs; use "encoder" or "bag"`,
    );
  }
}
