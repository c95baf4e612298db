import { open } from 'node:fs/promises';
import { show } from '../check';
import { FlesError } from '../errors';
import type { NetworkDescription } from './config';
import type { SafetensorsEntry } from './safetensors';
import type { NetworkConfig, TensorPlace, WeightType } from './spec';
import type { WeightFiles } from './weight-files';

/** A tensor the network needs: its canonical name, its name in checkpoints (without prefix) and its shape. */
interface Need {
  name: string;
  sources: string[];
  shape: number[];
}

/** Names of a checkpoint's tensors, without `.weight` and `.bias`; `#` stands for the number of the layer. */
interface Naming {
  prefix: string;
  wordEmbeddings: string;
  positionEmbeddings: string;
  typeEmbeddings?: string;
  embeddingsNorm: string;
  layer: Record<'query' | 'key' | 'value' | 'output' | 'norm' | 'in' | 'out' | 'outNorm', string>;
  head: { transform: string; norm: string; decoder: string; biases: string[] };
}

const BERT: Naming = {
  prefix: 'bert.',
  wordEmbeddings: 'embeddings.word_embeddings',
  positionEmbeddings: 'embeddings.position_embeddings',
  typeEmbeddings: 'embeddings.token_type_embeddings',
  embeddingsNorm: 'embeddings.LayerNorm',
  layer: {
    query: 'encoder.layer.#.attention.self.query',
    key: 'encoder.layer.#.attention.self.key',
    value: 'encoder.layer.#.attention.self.value',
    output: 'encoder.layer.#.attention.output.dense',
    norm: 'encoder.layer.#.attention.output.LayerNorm',
    in: 'encoder.layer.#.intermediate.dense',
    out: 'encoder.layer.#.output.dense',
    outNorm: 'encoder.layer.#.output.LayerNorm',
  },
  head: {
    transform: 'cls.predictions.transform.dense',
    norm: 'cls.predictions.transform.LayerNorm',
    decoder: 'cls.predictions.decoder.weight',
    // Where both are stored, the decoder's own is the one transformers adds.
    biases: ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
  },
};

const DISTILBERT: Naming = {
  prefix: 'distilbert.',
  wordEmbeddings: 'embeddings.word_embeddings',
  positionEmbeddings: 'embeddings.position_embeddings',
  embeddingsNorm: 'embeddings.LayerNorm',
  layer: {
    query: 'transformer.layer.#.attention.q_lin',
    key: 'transformer.layer.#.attention.k_lin',
    value: 'transformer.layer.#.attention.v_lin',
    output: 'transformer.layer.#.attention.out_lin',
    norm: 'transformer.layer.#.sa_layer_norm',
    in: 'transformer.layer.#.ffn.lin1',
    out: 'transformer.layer.#.ffn.lin2',
    outNorm: 'transformer.layer.#.output_layer_norm',
  },
  head: {
    transform: 'vocab_transform',
    norm: 'vocab_layer_norm',
    decoder: 'vocab_projector.weight',
    biases: ['vocab_projector.bias'],
  },
};

/** The tensors of the network, each found in the files and of the right shape and type. */
export interface TensorPlan {
  tensors: TensorPlace[];
  hasHead: boolean;
}

/**
 * Finds every tensor of the network in the files and checks its shape and storage type. Names with and without the
 * `bert.` or `distilbert.` prefix and LayerNorm's old names `gamma` and `beta` are read; what the network does not use
 * (pooler, next-sentence head, position_ids) is ignored.
 *
 * @throws FlesError `ERR_TENSOR_MISSING`, `ERR_TENSOR_SHAPE`, `ERR_TENSOR_TYPE`
 */
export async function planTensors(description: NetworkDescription, weights: WeightFiles): Promise<TensorPlan> {
  const naming = namingOf(description.architecture);
  const { config } = description;
  const find = (need: Need) => findTensor(need, naming.prefix, weights);
  const { vocabularySize: V, hiddenSize: C } = config;
  const head = naming.head;
  const hasHead = description.promisesHead || weights.tensors.has(`${head.transform}.weight`);

  const wordEmbeddings = wordNeed(config, naming);
  const decoderNeed = { name: 'head.decoder.weight', sources: [head.decoder], shape: [V, C] };
  let word = find(wordEmbeddings);
  let decoder = hasHead ? find(decoderNeed) : undefined;
  // A writer that stores shared tensors once may have kept either name.
  if (!word && decoder && description.tied) word = decoder;
  if (!word) throw missing(wordEmbeddings, naming.prefix, weights);
  if (hasHead && !decoder && !description.tied) throw missing(decoderNeed, naming.prefix, weights);
  // A tied decoder stored a second time is dropped; one that differs is used whatever the config says, as transformers 5 does.
  if (decoder && description.tied && (await sameData(word, decoder, weights.files))) decoder = undefined;

  const tensors = [place(wordEmbeddings, word, weights)];
  for (const need of [...networkNeeds(config, naming), ...(hasHead ? headNeeds(config, naming) : [])]) {
    const entry = find(need);
    if (!entry) throw missing(need, naming.prefix, weights);
    tensors.push(place(need, entry, weights));
  }
  if (decoder) tensors.push(place(decoderNeed, decoder, weights));
  return { tensors, hasHead };
}

/** Shapes of the tensors of a network with a tied head, by canonical name. */
export function tensorShapes(
  architecture: NetworkDescription['architecture'],
  config: NetworkConfig,
): Map<string, number[]> {
  return new Map(allNeeds(architecture, config).map(({ name, shape }) => [name, shape]));
}

/**
 * The names under which transformers stores a network's tensors, by canonical name. Not all of them need be there: the decoder's
 * weight is stored only where it differs from the word embeddings.
 */
export function storedNames(
  architecture: NetworkDescription['architecture'],
  config: NetworkConfig,
  hasHead: boolean,
): Map<string, string> {
  const { head, ...naming } = namingOf(architecture);
  // A class without a head is the network itself.
  const prefix = hasHead ? naming.prefix : '';
  const names = allNeeds(architecture, config).map(({ name, sources }) => {
    return [name, name.startsWith('head.') ? sources[0]! : prefix + sources[0]!] as const;
  });
  return new Map([
    ...names,
    // The decoder's own name of the bias is an alias that transformers leaves out.
    ['head.bias', head.biases.at(-1)!],
    ['head.decoder.weight', head.decoder],
  ]);
}

function allNeeds(architecture: NetworkDescription['architecture'], config: NetworkConfig): Need[] {
  const naming = namingOf(architecture);
  return [wordNeed(config, naming), ...networkNeeds(config, naming), ...headNeeds(config, naming)];
}

function namingOf(architecture: NetworkDescription['architecture']): Naming {
  return architecture === 'bert' ? BERT : DISTILBERT;
}

function wordNeed({ vocabularySize, hiddenSize }: NetworkConfig, naming: Naming): Need {
  return {
    name: 'embeddings.word.weight',
    sources: [`${naming.wordEmbeddings}.weight`],
    shape: [vocabularySize, hiddenSize],
  };
}

function networkNeeds(config: NetworkConfig, naming: Naming): Need[] {
  const { hiddenSize: C, intermediateSize: I } = config;
  const needs: Need[] = [
    {
      name: 'embeddings.position.weight',
      sources: [`${naming.positionEmbeddings}.weight`],
      shape: [config.maxPositions, C],
    },
  ];
  if (naming.typeEmbeddings) {
    const shape = [config.typeVocabularySize, C];
    needs.push({ name: 'embeddings.type.weight', sources: [`${naming.typeEmbeddings}.weight`], shape });
  }
  needs.push(...norm('embeddings.norm', naming.embeddingsNorm, C));
  for (let n = 0; n < config.layers; n++) {
    const source = (key: keyof Naming['layer']) => naming.layer[key].replace('#', String(n));
    for (const key of ['query', 'key', 'value', 'output'] as const) {
      needs.push(...linear(`layers.${n}.attention.${key}`, source(key), C, C));
    }
    needs.push(...norm(`layers.${n}.attention.norm`, source('norm'), C));
    needs.push(...linear(`layers.${n}.feedforward.in`, source('in'), I, C));
    needs.push(...linear(`layers.${n}.feedforward.out`, source('out'), C, I));
    needs.push(...norm(`layers.${n}.feedforward.norm`, source('outNorm'), C));
  }
  return needs;
}

function headNeeds(config: NetworkConfig, { head }: Naming): Need[] {
  const { vocabularySize: V, hiddenSize: C } = config;
  return [
    ...linear('head.transform', head.transform, C, C),
    ...norm('head.norm', head.norm, C),
    { name: 'head.bias', sources: head.biases, shape: [V] },
  ];
}

/** Weight [rows, columns] and bias [rows] of a dense layer. */
function linear(name: string, source: string, rows: number, columns: number): Need[] {
  return [
    { name: `${name}.weight`, sources: [`${source}.weight`], shape: [rows, columns] },
    { name: `${name}.bias`, sources: [`${source}.bias`], shape: [rows] },
  ];
}

function norm(name: string, source: string, size: number): Need[] {
  return [
    { name: `${name}.weight`, sources: [`${source}.weight`, `${source}.gamma`], shape: [size] },
    { name: `${name}.bias`, sources: [`${source}.bias`, `${source}.beta`], shape: [size] },
  ];
}

type Entry = SafetensorsEntry & { file: number };

function findTensor(need: Need, prefix: string, { tensors }: WeightFiles): Entry | undefined {
  for (const source of need.sources) {
    const entry = tensors.get(prefix + source) ?? tensors.get(source);
    if (entry) return entry;
  }
  return undefined;
}

function missing(need: Need, prefix: string, { source, tensors }: WeightFiles): FlesError {
  const prefixed = !need.name.startsWith('head.') && [...tensors.keys()].some((name) => name.startsWith(prefix));
  const names = need.sources.map((name) => show(prefixed ? prefix + name : name));
  return new FlesError(
    'ERR_TENSOR_MISSING',
    `${source} has no tensor ${names.join(' or ')} (${need.name}); the checkpoint is incomplete or its config.json belongs to another`,
  );
}

function place(need: Need, entry: Entry, { files }: WeightFiles): TensorPlace {
  const where = `${files[entry.file]}: tensor ${show(entry.name)}`;
  if (entry.shape.length !== need.shape.length || entry.shape.some((size, axis) => size !== need.shape[axis])) {
    throw new FlesError(
      'ERR_TENSOR_SHAPE',
      `${where} has the shape ${entry.shape.join(' x ') || 'scalar'}, expected ${need.shape.join(' x ')} ` +
        'by config.json; they belong to different models',
    );
  }
  if (entry.dtype !== 'F32' && entry.dtype !== 'F16' && entry.dtype !== 'BF16') {
    throw new FlesError('ERR_TENSOR_TYPE', `${where} is stored as ${entry.dtype}, supported are F32, F16 and BF16`);
  }
  return {
    name: need.name,
    file: entry.file,
    dtype: entry.dtype as WeightType,
    offset: entry.offset,
    shape: need.shape,
  };
}

/** Whether two tensors hold the same bytes; read in blocks, ending at the first difference. */
async function sameData(a: Entry, b: Entry, files: string[]): Promise<boolean> {
  if (a === b) return true;
  if (a.dtype !== b.dtype || a.bytes !== b.bytes) return false;
  const [fileA, fileB] = await Promise.all([open(files[a.file]!), open(files[b.file]!)]);
  try {
    const block = 4 * 2 ** 20;
    for (let done = 0; done < a.bytes; done += block) {
      const size = Math.min(block, a.bytes - done);
      const [left, right] = await Promise.all([
        fileA.read(Buffer.alloc(size), 0, size, a.offset + done),
        fileB.read(Buffer.alloc(size), 0, size, b.offset + done),
      ]);
      if (left.bytesRead !== size || !left.buffer.equals(right.buffer)) return false;
    }
    return true;
  } finally {
    await Promise.all([fileA.close(), fileB.close()]);
  }
}
