import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { type TensorData, writeSafetensors } from '../support/safetensors-writer';

/** Sizes of the tiny networks: all different, so that an exchanged axis shows. */
export const V = 11;
export const C = 6;
export const I = 7;
export const P = 9;

export const bertConfig = {
  architectures: ['BertForMaskedLM'],
  model_type: 'bert',
  vocab_size: V,
  hidden_size: C,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: I,
  max_position_embeddings: P,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  hidden_act: 'gelu',
};

export const distilbertConfig = {
  architectures: ['DistilBertForMaskedLM'],
  model_type: 'distilbert',
  vocab_size: V,
  dim: C,
  n_layers: 2,
  n_heads: 3,
  hidden_dim: I,
  max_position_embeddings: P,
  activation: 'gelu',
};

const norm = (name: string) => [
  [`${name}.weight`, [C]],
  [`${name}.bias`, [C]],
];
const linear = (name: string, rows: number, columns: number) => [
  [`${name}.weight`, [rows, columns]],
  [`${name}.bias`, [rows]],
];
const fill = (entries: (string | number[])[][], dtype: TensorData['dtype']): Record<string, TensorData> =>
  Object.fromEntries(
    entries.map(([name, shape], i) => [name as string, { dtype, shape: shape as number[], value: () => i }]),
  );

/** The tensors of a tiny BertForMaskedLM with a tied decoder. */
export function bertTensors(dtype: TensorData['dtype'] = 'F32', prefix = 'bert.'): Record<string, TensorData> {
  const layer = (n: number) => {
    const at = `${prefix}encoder.layer.${n}`;
    return [
      ...['query', 'key', 'value'].flatMap((part) => linear(`${at}.attention.self.${part}`, C, C)),
      ...linear(`${at}.attention.output.dense`, C, C),
      ...norm(`${at}.attention.output.LayerNorm`),
      ...linear(`${at}.intermediate.dense`, I, C),
      ...linear(`${at}.output.dense`, C, I),
      ...norm(`${at}.output.LayerNorm`),
    ];
  };
  return fill(
    [
      [`${prefix}embeddings.word_embeddings.weight`, [V, C]],
      [`${prefix}embeddings.position_embeddings.weight`, [P, C]],
      [`${prefix}embeddings.token_type_embeddings.weight`, [2, C]],
      ...norm(`${prefix}embeddings.LayerNorm`),
      ...layer(0),
      ...layer(1),
      ...linear('cls.predictions.transform.dense', C, C),
      ...norm('cls.predictions.transform.LayerNorm'),
      ['cls.predictions.bias', [V]],
    ],
    dtype,
  );
}

/** The tensors of a tiny DistilBertForMaskedLM with a tied decoder. */
export function distilbertTensors(dtype: TensorData['dtype'] = 'F32'): Record<string, TensorData> {
  const layer = (n: number) => {
    const at = `distilbert.transformer.layer.${n}`;
    return [
      ...['q_lin', 'k_lin', 'v_lin', 'out_lin'].flatMap((part) => linear(`${at}.attention.${part}`, C, C)),
      ...norm(`${at}.sa_layer_norm`),
      ...linear(`${at}.ffn.lin1`, I, C),
      ...linear(`${at}.ffn.lin2`, C, I),
      ...norm(`${at}.output_layer_norm`),
    ];
  };
  return fill(
    [
      ['distilbert.embeddings.word_embeddings.weight', [V, C]],
      ['distilbert.embeddings.position_embeddings.weight', [P, C]],
      ...norm('distilbert.embeddings.LayerNorm'),
      ...layer(0),
      ...layer(1),
      ...linear('vocab_transform', C, C),
      ...norm('vocab_layer_norm'),
      ['vocab_projector.bias', [V]],
    ],
    dtype,
  );
}

export const terms = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'b', 'c', 'd', 'e', 'f'];

let scratch: string | undefined;
afterAll(() => {
  if (scratch) rmSync(scratch, { recursive: true, force: true });
  scratch = undefined;
});

/** A new folder with these files: text and bytes as they are, other values as JSON, `*.safetensors` from tensors. */
export function folder(files: Record<string, unknown>): string {
  scratch ??= mkdtempSync(join(tmpdir(), 'fles-model-'));
  const directory = mkdtempSync(join(scratch, 'model-'));
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array) writeFileSync(path, content);
    else if (name.endsWith('.safetensors')) writeSafetensors(path, content as Record<string, TensorData>);
    else writeFileSync(path, JSON.stringify(content));
  }
  return directory;
}

/** The files of a tiny BERT folder; `changes` replaces or adds some, undefined leaves one out. */
export function bertFiles(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const files: Record<string, unknown> = {
    'config.json': bertConfig,
    'model.safetensors': bertTensors(),
    'vocab.txt': terms.join('\n'),
    ...changes,
  };
  return Object.fromEntries(Object.entries(files).filter(([, content]) => content !== undefined));
}
