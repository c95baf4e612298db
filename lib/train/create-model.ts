import { rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkInteger, checkIterable, checkKeys, checkString } from '../check';
import { FlesError } from '../errors';
import { makeDirectory } from '../make-directory';
import { exists } from '../model/modules';
import type { NetworkConfig } from '../model/spec';
import { storedNames, tensorShapes } from '../model/tensors';
import { type TensorValues, writeSafetensors } from '../model/write-safetensors';
import { writeTextFile } from '../text/output-file';
import { uniform } from './data/hash';
import { learnWordPieces } from './word-pieces';

/** The sizes of a new model. */
export interface CreateModelOptions {
  /** Texts that the vocabulary is learnt from. */
  texts: Iterable<string> | AsyncIterable<string>;
  /** Terms at most. Default 8192. */
  vocabularySize?: number;
  /** Default 128. */
  hiddenSize?: number;
  /** Default 2. */
  layers?: number;
  /** Divides hiddenSize. Default: one for each 64 of hiddenSize. */
  heads?: number;
  /** Default: four times hiddenSize. */
  intermediateSize?: number;
  /** Tokens of a text. Default 256. */
  maxPositions?: number;
  /** Of the weights. Default 1. */
  seed?: number;
}

const KEYS = [
  'texts',
  'vocabularySize',
  'hiddenSize',
  'layers',
  'heads',
  'intermediateSize',
  'maxPositions',
  'seed',
] as const;

/** Files that decide what a folder is: one that stands there would be read as a part of the new model. */
const DECIDING = [
  'config.json',
  'tokenizer.json',
  'modules.json',
  'sentence_bert_config.json',
  'added_tokens.json',
  'idf.json',
];

/**
 * Makes a BERT with a masked-language-model head from scratch, as a Hugging Face folder: a WordPiece vocabulary learnt from texts,
 * matrices from a normal distribution of deviation 0.02 (Devlin et al. 2018, arXiv:1810.04805), biases 0, LayerNorms 1. Equal
 * options make equal bytes.
 *
 * @throws FlesError `ERR_OPTION_*`, `ERR_VOCABULARY_SIZE`, `ERR_OUTPUT_EXISTS` (a folder that holds a model), `ERR_FILE_*`
 */
export async function createModel(directory: string, options: CreateModelOptions): Promise<void> {
  checkString('the folder', directory);
  checkKeys(options, KEYS);
  checkIterable('texts', options.texts, 'strings');
  const hiddenSize = checkInteger('hiddenSize', options.hiddenSize ?? 128, 1, 8192);
  const vocabularySize = checkInteger('vocabularySize', options.vocabularySize ?? 8192, 16, 2 ** 20);
  const heads = checkInteger('heads', options.heads ?? Math.max(1, Math.floor(hiddenSize / 64)), 1, hiddenSize);
  const seed = checkInteger('seed', options.seed ?? 1, 0, 2 ** 32 - 1);
  if (hiddenSize % heads !== 0) {
    throw new FlesError(
      'ERR_OPTION_RANGE',
      `heads is ${heads}, expected a number that divides hiddenSize, ${hiddenSize}`,
    );
  }
  const sizes = {
    hiddenSize,
    heads,
    layers: checkInteger('layers', options.layers ?? 2, 0, 1024),
    intermediateSize: checkInteger('intermediateSize', options.intermediateSize ?? 4 * hiddenSize, 1, 2 ** 20),
    maxPositions: checkInteger('maxPositions', options.maxPositions ?? 256, 2, 2 ** 16),
    typeVocabularySize: 2,
    layerNormEps: 1e-12,
    activation: 'gelu',
  } as const;
  const isNew = !(await stat(directory).catch(() => undefined));
  await makeDirectory(directory);
  for (const name of DECIDING) {
    if (!(await exists(join(directory, name)))) continue;
    throw new FlesError('ERR_OUTPUT_EXISTS', `${directory} holds ${name} already; choose another folder`);
  }
  const terms = await learnWordPieces(options.texts, vocabularySize).catch(async (error) => {
    // It goes when it is empty alone.
    if (isNew) await rmdir(directory).catch(() => undefined);
    throw error;
  });
  await writeTextFile(join(directory, 'vocab.txt'), [`${terms.join('\n')}\n`]);
  const config: NetworkConfig = { ...sizes, vocabularySize: terms.length };
  await writeJson(directory, 'tokenizer_config.json', {
    tokenizer_class: 'BertTokenizer',
    do_lower_case: true,
    model_max_length: config.maxPositions,
  });
  await writeSafetensors(join(directory, 'model.safetensors'), randomTensors(config, seed));
  await writeJson(directory, 'config.json', bertConfig(config));
}

function writeJson(directory: string, name: string, value: object): Promise<void> {
  return writeTextFile(join(directory, name), [`${JSON.stringify(value, undefined, 2)}\n`]);
}

function bertConfig(config: NetworkConfig): object {
  return {
    architectures: ['BertForMaskedLM'],
    attention_probs_dropout_prob: 0.1,
    dtype: 'float32',
    hidden_act: config.activation,
    hidden_dropout_prob: 0.1,
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.intermediateSize,
    layer_norm_eps: config.layerNormEps,
    max_position_embeddings: config.maxPositions,
    model_type: 'bert',
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    pad_token_id: 0,
    tie_word_embeddings: true,
    type_vocab_size: config.typeVocabularySize,
    vocab_size: config.vocabularySize,
  };
}

function randomTensors(config: NetworkConfig, seed: number): TensorValues[] {
  const names = storedNames('bert', config, true);
  return [...tensorShapes('bert', config)].map(([name, shape], tensor) => {
    const size = shape.reduce((product, length) => product * length, 1);
    const values = new Float32Array(size);
    if (/norm\.weight$/.test(name)) values.fill(1);
    else if (!/bias$/.test(name)) for (let i = 0; i < size; i++) values[i] = 0.02 * normal([seed, tensor, i]);
    return { name: names.get(name)!, shape, values };
  });
}

/** A normal number that words decide (Box and Muller 1958). */
function normal(words: readonly number[]): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform([0, ...words])));
  return radius * Math.cos(2 * Math.PI * uniform([1, ...words]));
}
