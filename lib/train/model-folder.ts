import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from '../errors';
import { makeDirectory } from '../make-directory';
import { readJsonFile } from '../model/json';
import { safetensorsHeader } from '../model/safetensors';
import type { DensePooling, ModelSpec, Pooling } from '../model/spec';
import { storedNames } from '../model/tensors';
import { writeSafetensors } from '../model/write-safetensors';
import type { NativeTrainer } from '../native';
import { writeTextFile } from '../text/output-file';

/** What becomes of the model that a run started from. */
export interface ModelFolderOptions {
  /** The model started from. */
  base: ModelSpec;
  kind: ModelKind;
  /** Tokens that a bag query leaves out. */
  bagDropped: readonly number[];
  /** Tokens that the trained model reads of a text. */
  maxLength: number;
  /** README.md. */
  card: string;
}

/** A masked language model alone, without the files of sentence-transformers, or an encoder. */
export type ModelKind =
  | { of: 'masked' }
  | { of: 'sparse'; pooling: Pooling; queryKind: 'encoder' | 'bag' }
  | { of: 'dense'; pooling: DensePooling; normalize: boolean };

/** Files of a tokenizer, those of them that a model has. */
export const TOKENIZER_FILES = [
  'tokenizer.json',
  'vocab.txt',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
];

const POOLING_CONFIG: Record<Pooling, { pooling_strategy: string; activation_function: string }> = {
  max: { pooling_strategy: 'max', activation_function: 'relu' },
  sum: { pooling_strategy: 'sum', activation_function: 'relu' },
  log1p_log1p: { pooling_strategy: 'max', activation_function: 'log1p_relu' },
  sum_log1p_log1p: { pooling_strategy: 'sum', activation_function: 'log1p_relu' },
};

const DENSE = 'sentence_transformers.models';
const ST = 'sentence_transformers.sparse_encoder.models';
const NETWORK_FOLDER = 'document_0_MLMTransformer';
const POOLING_FOLDER = '1_SpladePooling';
const DENSE_POOLING_FOLDER = '1_Pooling';
const QUERY_FOLDER = 'query_0_SparseStaticEmbedding';

/** Where the weights of a model folder are: beside config.json. */
export function weightsPath(directory: string, kind: ModelKind): string {
  return join(directory, networkFolder(kind), 'model.safetensors');
}

/** A router needs a folder for the network of documents; otherwise it is the model's own. */
function networkFolder(kind: ModelKind): string {
  return kind.of === 'sparse' && kind.queryKind === 'bag' ? NETWORK_FOLDER : '';
}

/**
 * Writes all of a Hugging Face folder but the weights of the network: config.json and the tokenizer for transformers;
 * modules.json with its folders for sentence-transformers, where a router gives bag queries a table of ones; README.md.
 *
 * Throws `ERR_FILE_*`.
 */
export async function writeModelFolder(directory: string, options: ModelFolderOptions): Promise<void> {
  const { base, kind } = options;
  const network = join(directory, networkFolder(kind));
  await makeDirectory(network);
  await writeJson(join(network, 'config.json'), await networkConfig(base, kind));
  await copyTokenizer(base, network);
  await writeTextFile(join(directory, 'README.md'), [options.card]);
  if (kind.of === 'masked') return;

  const settings = await readJsonFile(join(base.networkDirectory, 'sentence_bert_config.json'));
  await writeJson(join(network, 'sentence_bert_config.json'), {
    max_seq_length: options.maxLength,
    do_lower_case: settings?.boolean('do_lower_case', false) ?? false,
  });
  await writeJson(join(directory, 'config_sentence_transformers.json'), {
    model_type: kind.of === 'dense' ? 'SentenceTransformer' : 'SparseEncoder',
    prompts: { query: '', document: '' },
    default_prompt_name: null,
    similarity_fn_name: kind.of === 'dense' && kind.normalize ? 'cosine' : 'dot',
  });
  if (kind.of === 'dense') return writeDenseModules(directory, kind, base.config.hiddenSize);
  await makeDirectory(join(directory, POOLING_FOLDER));
  await writeJson(join(directory, POOLING_FOLDER, 'config.json'), {
    ...POOLING_CONFIG[kind.pooling],
    word_embedding_dimension: base.config.vocabularySize,
  });
  if (kind.queryKind === 'bag') await writeRouter(directory, options);
  else {
    await writeJson(join(directory, 'modules.json'), [
      { idx: 0, name: '0', path: '', type: `${ST}.MLMTransformer` },
      { idx: 1, name: '1', path: POOLING_FOLDER, type: `${ST}.SpladePooling` },
    ]);
  }
}

async function writeDenseModules(
  directory: string,
  { pooling, normalize }: ModelKind & { of: 'dense' },
  hiddenSize: number,
): Promise<void> {
  await makeDirectory(join(directory, DENSE_POOLING_FOLDER));
  await writeJson(join(directory, DENSE_POOLING_FOLDER, 'config.json'), {
    word_embedding_dimension: hiddenSize,
    pooling_mode_cls_token: pooling === 'cls',
    pooling_mode_mean_tokens: pooling === 'mean',
    pooling_mode_max_tokens: false,
    pooling_mode_mean_sqrt_len_tokens: false,
  });
  await writeJson(join(directory, 'modules.json'), [
    { idx: 0, name: '0', path: '', type: `${DENSE}.Transformer` },
    { idx: 1, name: '1', path: DENSE_POOLING_FOLDER, type: `${DENSE}.Pooling` },
    ...(normalize ? [{ idx: 2, name: '2', path: '2_Normalize', type: `${DENSE}.Normalize` }] : []),
  ]);
}

async function writeRouter(directory: string, { base, bagDropped }: ModelFolderOptions): Promise<void> {
  await writeJson(join(directory, 'modules.json'), [
    { idx: 0, name: '0', path: '', type: 'sentence_transformers.models.Router' },
  ]);
  await writeJson(join(directory, 'router_config.json'), {
    types: {
      [QUERY_FOLDER]: `${ST}.SparseStaticEmbedding`,
      [NETWORK_FOLDER]: `${ST}.MLMTransformer`,
      [POOLING_FOLDER]: `${ST}.SpladePooling`,
    },
    structure: { query: [QUERY_FOLDER], document: [NETWORK_FOLDER, POOLING_FOLDER] },
    parameters: { default_route: 'document', allow_empty_key: true, route_mappings: {} },
  });
  const query = join(directory, QUERY_FOLDER);
  await makeDirectory(query);
  await writeJson(join(query, 'config.json'), { frozen: true });
  await copyTokenizer(base, query);
  const values = new Float32Array(base.config.vocabularySize).fill(1);
  for (const term of bagDropped) values[term] = 0;
  await writeSafetensors(join(query, 'model.safetensors'), [{ name: 'weight', shape: [values.length], values }]);
}

function writeJson(path: string, value: unknown): Promise<void> {
  return writeTextFile(path, [`${JSON.stringify(value, undefined, 2)}\n`]);
}

/** The config.json of the base with what training has changed: the class, the head, the storage type. */
async function networkConfig(base: ModelSpec, kind: ModelKind): Promise<object> {
  const file = await readJsonFile(join(base.networkDirectory, 'config.json'));
  const { torch_dtype: _, ...kept } = file!.value;
  return {
    ...kept,
    architectures: [
      `${base.architecture === 'bert' ? 'Bert' : 'DistilBert'}${kind.of === 'dense' ? 'Model' : 'ForMaskedLM'}`,
    ],
    dtype: 'float32',
    tie_word_embeddings: !base.tensors.some(({ name }) => name === 'head.decoder.weight'),
  };
}

async function copyTokenizer(base: ModelSpec, directory: string): Promise<void> {
  for (const name of TOKENIZER_FILES) await copyText(join(base.networkDirectory, name), join(directory, name));
}

async function copyText(from: string, to: string): Promise<void> {
  const text = await readFileIfThere(from);
  if (text !== undefined) await writeTextFile(to, [text]);
}

export async function readFileIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, path);
  }
}

/**
 * BERT's decoder has the bias of the head under a name of its own, which transformers 5 ties to it only where the decoder's weight is
 * tied too.
 */
const UNTIED_DECODER = 'cls.predictions.decoder.weight';
const UNTIED_DECODER_BIAS = 'cls.predictions.decoder.bias';

/** Writes the weights under the names of transformers, float32, whole or not at all. */
export async function writeWeights(path: string, trainer: NativeTrainer, base: ModelSpec): Promise<void> {
  const hasHead = trainer.tensors.some(({ name }) => name.startsWith('head.'));
  const names = storedNames(base.architecture, base.config, hasHead);
  const tensors = trainer.tensors.map(({ name, shape }) => ({
    part: `weights/${name}`,
    name: names.get(name)!,
    shape,
  }));
  const untied = tensors.find(({ name }) => name === UNTIED_DECODER);
  const bias = tensors.find(({ part }) => part === 'weights/head.bias');
  if (untied && bias) tensors.push({ ...bias, name: UNTIED_DECODER_BIAS });
  await trainer.save(
    path,
    safetensorsHeader(tensors),
    tensors.map(({ part }) => part),
  );
}

/** Writes weights and moments under canonical names, as a checkpoint keeps them, whole or not at all. */
export async function writeState(path: string, trainer: NativeTrainer): Promise<void> {
  const tensors = ['weights', 'first', 'second'].flatMap((part) =>
    trainer.tensors.map(({ name, shape }) => ({ name: `${part}/${name}`, shape })),
  );
  await trainer.save(
    path,
    safetensorsHeader(tensors),
    tensors.map(({ name }) => name),
  );
}
