import { FlesError } from '../errors';
import { type JsonFile, readJsonFile } from './json';
import type { Activation, NetworkConfig } from './spec';

/** What config.json says about the network. */
export interface NetworkDescription {
  architecture: 'bert' | 'distilbert';
  config: NetworkConfig;
  /** The class of the checkpoint promises a masked-language-model head. */
  promisesHead: boolean;
  /** The decoder of the head is the word embedding matrix. */
  tied: boolean;
}

/** Names of the same function; transformers' variants differ in how they are computed, not in what. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_new',
  gelu_fast: 'gelu_new',
  gelu_pytorch_tanh: 'gelu_new',
  gelu_python_tanh: 'gelu_new',
  relu: 'relu',
};

// Sizes beyond these would overflow the 32-bit indices of the native core long after memory ran out.
const MAX_SIZE = 2 ** 24;

/**
 * Reads config.json of a BERT or DistilBERT checkpoint and checks every field that the network depends on.
 *
 * @throws FlesError `ERR_MODEL_MISSING` (no config.json), `ERR_MODEL_TYPE` (another network), `ERR_MODEL_CONFIG`
 *   (a field is absent, out of range, or asks for what is not supported), `ERR_JSON`
 */
export async function readNetworkConfig(path: string): Promise<NetworkDescription> {
  const file = await readJsonFile(path);
  if (!file) {
    throw new FlesError(
      'ERR_MODEL_MISSING',
      `${path} does not exist; a model folder holds config.json, a tokenizer and safetensors`,
    );
  }
  const architectures = file.value.architectures;
  const classes = Array.isArray(architectures) ? architectures.filter((name) => typeof name === 'string') : [];
  const type = file.string('model_type', typeOfClass(classes[0]));
  if (type !== 'bert' && type !== 'distilbert') {
    throw new FlesError(
      'ERR_MODEL_TYPE',
      `${path}: model_type is "${type}", supported are "bert" and "distilbert"; convert the checkpoint or choose another`,
    );
  }
  refuseUnsupported(file);
  const config = type === 'bert' ? bertConfig(file) : distilbertConfig(file);
  if (config.hiddenSize % config.heads !== 0) {
    throw new FlesError(
      'ERR_MODEL_CONFIG',
      `${path}: ${config.heads} attention heads do not divide the hidden size ${config.hiddenSize}`,
    );
  }
  return {
    architecture: type,
    config,
    promisesHead: classes.some((name) => /For(MaskedLM|PreTraining)$/.test(name)),
    tied: file.boolean('tie_word_embeddings', true),
  };
}

/** Files older than `model_type` still name their class. */
function typeOfClass(name: string | undefined): string | undefined {
  if (name?.startsWith('DistilBert')) return 'distilbert';
  if (name?.startsWith('Bert')) return 'bert';
  return undefined;
}

function refuseUnsupported(file: JsonFile): void {
  if (file.string('position_embedding_type', 'absolute') !== 'absolute') {
    throw file.error('position_embedding_type', 'only "absolute" is supported');
  }
  for (const key of ['is_decoder', 'add_cross_attention']) {
    if (file.boolean(key, false)) throw file.error(key, 'only encoders are supported');
  }
  const pruned = file.object('pruned_heads');
  if (Object.keys(pruned.value).length > 0) {
    throw file.error('pruned_heads', 'pruned heads are not supported');
  }
  if (file.has('quantization_config')) {
    throw file.error('quantization_config', 'quantised checkpoints are not supported; use the F32, F16 or BF16 one');
  }
}

function bertConfig(file: JsonFile): NetworkConfig {
  return {
    vocabularySize: file.integer('vocab_size', 1, MAX_SIZE),
    hiddenSize: file.integer('hidden_size', 1, MAX_SIZE),
    layers: file.integer('num_hidden_layers', 0, 1024),
    heads: file.integer('num_attention_heads', 1, MAX_SIZE),
    intermediateSize: file.integer('intermediate_size', 1, MAX_SIZE),
    maxPositions: file.integer('max_position_embeddings', 2, MAX_SIZE),
    typeVocabularySize: file.integer('type_vocab_size', 1, MAX_SIZE, 2),
    layerNormEps: layerNormEps(file),
    activation: activation(file, 'hidden_act'),
  };
}

function distilbertConfig(file: JsonFile): NetworkConfig {
  // transformers accepts BERT's names for these fields as well.
  const either = (key: string, alias: string) => (file.has(key) ? key : alias);
  return {
    vocabularySize: file.integer('vocab_size', 1, MAX_SIZE),
    hiddenSize: file.integer(either('dim', 'hidden_size'), 1, MAX_SIZE),
    layers: file.integer(either('n_layers', 'num_hidden_layers'), 0, 1024),
    heads: file.integer(either('n_heads', 'num_attention_heads'), 1, MAX_SIZE),
    intermediateSize: file.integer('hidden_dim', 1, MAX_SIZE),
    maxPositions: file.integer('max_position_embeddings', 2, MAX_SIZE),
    typeVocabularySize: 0,
    // Fixed in transformers' DistilBERT.
    layerNormEps: 1e-12,
    activation: activation(file, 'activation'),
  };
}

function layerNormEps(file: JsonFile): number {
  const value = file.value.layer_norm_eps ?? 1e-12;
  if (typeof value !== 'number' || !(value > 0) || value > 0.1) {
    throw file.error('layer_norm_eps', 'expected a number in 0..0.1');
  }
  return value;
}

function activation(file: JsonFile, key: string): Activation {
  const name = file.string(key, 'gelu');
  const known = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (!known) throw file.error(key, `expected one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  return known;
}
