// Model folders with random weights, of BERT-base's size or another, for speed alone: only how many terms a text has makes a
// difference to that.
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BERT_BASE } from './cuda-steps.mjs';

function tensors({ layers, C, I, V, P }) {
  const list = [
    ['bert.embeddings.word_embeddings.weight', [V, C]],
    ['bert.embeddings.position_embeddings.weight', [P, C]],
    ['bert.embeddings.token_type_embeddings.weight', [2, C]],
    ['bert.embeddings.LayerNorm.weight', [C]],
    ['bert.embeddings.LayerNorm.bias', [C]],
  ];
  const linear = (name, n, k) => list.push([`${name}.weight`, [n, k]], [`${name}.bias`, [n]]);
  const norm = (name) => list.push([`${name}.weight`, [C]], [`${name}.bias`, [C]]);
  for (let n = 0; n < layers; n++) {
    const layer = `bert.encoder.layer.${n}`;
    for (const part of ['query', 'key', 'value']) linear(`${layer}.attention.self.${part}`, C, C);
    linear(`${layer}.attention.output.dense`, C, C);
    norm(`${layer}.attention.output.LayerNorm`);
    linear(`${layer}.intermediate.dense`, I, C);
    linear(`${layer}.output.dense`, C, I);
    norm(`${layer}.output.LayerNorm`);
  }
  linear('cls.predictions.transform.dense', C, C);
  norm('cls.predictions.transform.LayerNorm');
  list.push([BIAS, [V]]);
  return list;
}

/** The decoder's bias, which decides how many terms a text has. */
const BIAS = 'cls.predictions.bias';

/** Values of a tensor: LayerNorm near 1 and 0, everything else uniform with standard deviation 0.02, seeded. */
function fill(name, values, bias, state) {
  const scale = name.endsWith('bias') || name.includes('LayerNorm') ? 0 : 0.02 * Math.sqrt(12);
  const shift = name === BIAS ? bias : name.includes('LayerNorm.weight') ? 1 : 0;
  let s = state.seed;
  for (let i = 0; i < values.length; i++) {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    values[i] = shift + scale * (s / 2 ** 32 - 0.5);
  }
  state.seed = s;
}

/** The folder of a random BERT-base (438 MB) whose documents of 256 tokens have some 250 terms, as splade-tiny's have. */
export const sparseBertBase = (words) => randomModel('bert-base-sparse', BERT_BASE, words, -2.1);

/** Of one whose documents of 256 tokens have the 933 terms that a training step of `v12b` is predicted for. */
export const trainingBertBase = (words) => randomModel('bert-base-training', BERT_BASE, words, -1.9);

/** The folder of a random model, made on first use below the system's temporary folder. */
export function randomModel(name, size, words, bias = 0) {
  const { layers, C, I, H, V, P } = size;
  const facts = createHash('sha256')
    .update(JSON.stringify([size, words, bias]))
    .digest('hex');
  const folder = join(tmpdir(), `fles-bench-${name}-${facts.slice(0, 8)}`);
  if (existsSync(join(folder, 'model.safetensors'))) return folder;
  mkdirSync(folder, { recursive: true });
  const list = tensors(size);
  const header = {};
  let at = 0;
  for (const [name, shape] of list) {
    const bytes = 4 * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  let text = JSON.stringify(header);
  text = text.padEnd(Math.ceil(text.length / 8) * 8, ' ');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const temporary = join(folder, 'model.safetensors.tmp');
  const file = openSync(temporary, 'w');
  writeSync(file, length);
  writeSync(file, text);
  const state = { seed: 1 };
  for (const [name, shape] of list) {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    fill(name, values, bias, state);
    for (let done = 0; done < values.byteLength; ) {
      done += writeSync(file, new Uint8Array(values.buffer), done, Math.min(2 ** 28, values.byteLength - done));
    }
  }
  closeSync(file);
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      architectures: ['BertForMaskedLM'],
      model_type: 'bert',
      hidden_act: 'gelu',
      hidden_size: C,
      intermediate_size: I,
      layer_norm_eps: 1e-12,
      max_position_embeddings: P,
      num_attention_heads: H,
      num_hidden_layers: layers,
      type_vocab_size: 2,
      vocab_size: V,
      tie_word_embeddings: true,
    }),
  );
  const vocabulary = [...new Set(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...words])].slice(0, V);
  while (vocabulary.length < V) vocabulary.push(`[unused${vocabulary.length}]`);
  writeFileSync(join(folder, 'vocab.txt'), `${vocabulary.join('\n')}\n`);
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ do_lower_case: true, model_max_length: P }));
  renameSync(temporary, join(folder, 'model.safetensors'));
  return folder;
}
