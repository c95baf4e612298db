import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWeights, type Tensor } from './fixtures';

export type ReferencePooling = 'max' | 'sum' | 'log1p_log1p' | 'sum_log1p_log1p';

/** A matrix as an array of rows. */
type Rows = Float64Array[];

interface Config {
  layers: number;
  heads: number;
  epsilon: number;
  activation: string;
}

/**
 * BERT with its masked language model head in float64, written to be read: the definition that every backend is tested
 * against. One text at a time, no padding, no shortcuts.
 *
 *   BERT: Devlin et al. 2018, arXiv:1810.04805; poolings: SPLADE, Formal et al. 2021, arXiv:2107.05720 (sum) and
 *   arXiv:2109.10086 (max)
 */
export class ReferenceEncoder {
  private readonly config: Config;
  private readonly weights: Map<string, Tensor>;

  /** Reads a Hugging Face folder of `BertForMaskedLM` or `DistilBertForMaskedLM`. */
  constructor(directory: string) {
    const json = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
    this.config = {
      layers: json.num_hidden_layers ?? json.n_layers,
      heads: json.num_attention_heads ?? json.n_heads,
      epsilon: json.layer_norm_eps ?? 1e-12,
      activation: json.hidden_act ?? json.activation,
    };
    this.weights = new Map(Array.from(readWeights(directory), ([name, tensor]) => [canonicalName(name), tensor]));
  }

  /** Last hidden state, (L, C), of a text of L token ids. */
  hiddenStates(tokens: readonly number[]): Rows {
    const words = this.rows('embeddings.word_embeddings.weight');
    const positions = this.rows('embeddings.position_embeddings.weight');
    // DistilBERT has no token types.
    const type = this.rows('embeddings.token_type_embeddings.weight')[0];
    let x = tokens.map((token, t) => add(add(words[token]!, positions[t]!), type));
    x = this.layerNorm(x, 'embeddings.LayerNorm');
    for (let layer = 0; layer < this.config.layers; layer++) x = this.layer(x, `encoder.layer.${layer}`);
    return x;
  }

  /** Logits, (L, V): `LayerNorm(act(h W^T + b)) E^T + bias`. */
  logits(tokens: readonly number[]): Rows {
    const head = 'cls.predictions';
    let x = this.activate(this.linear(this.hiddenStates(tokens), `${head}.transform.dense`));
    x = this.layerNorm(x, `${head}.transform.LayerNorm`);
    const decoder = this.weights.has(`${head}.decoder.weight`) ? `${head}.decoder` : 'embeddings.word_embeddings';
    const bias = this.weights.get(`${head}.decoder.bias`) ?? this.weights.get(`${head}.bias`);
    return product(x, this.rows(`${decoder}.weight`), bias!.values);
  }

  /** The sparse vector as V weights, zeros included. */
  sparse(tokens: readonly number[], pooling: ReferencePooling): Float64Array {
    const [first, ...rest] = this.logits(tokens).map((z) =>
      z.map((value) => {
        const weight = Math.log1p(Math.max(0, value));
        return pooling.endsWith('log1p_log1p') ? Math.log1p(weight) : weight;
      }),
    );
    const pool = pooling.startsWith('sum') ? (a: number, b: number) => a + b : Math.max;
    return rest.reduce((pooled, row) => pooled.map((value, v) => pool(value, row[v]!)), first!);
  }

  /** The dense vector of C dimensions. */
  dense(tokens: readonly number[], options: { pooling: 'mean' | 'cls'; normalize: boolean }): Float64Array {
    const h = this.hiddenStates(tokens);
    const pooled = options.pooling === 'cls' ? h[0]! : h.reduce(add).map((value) => value / h.length);
    const norm = options.normalize ? Math.hypot(...pooled) : 1;
    return pooled.map((value) => value / norm);
  }

  /** One post-norm transformer layer. */
  private layer(x: Rows, name: string): Rows {
    const attended = this.linear(this.attention(x, `${name}.attention.self`), `${name}.attention.output.dense`);
    const middle = this.layerNorm(addRows(x, attended), `${name}.attention.output.LayerNorm`);
    const inner = this.activate(this.linear(middle, `${name}.intermediate.dense`));
    return this.layerNorm(addRows(middle, this.linear(inner, `${name}.output.dense`)), `${name}.output.LayerNorm`);
  }

  /** Multi-head attention of every token to every token, heads side by side in the result. */
  private attention(x: Rows, name: string): Rows {
    const [query, key, value] = ['query', 'key', 'value'].map((part) => this.linear(x, `${name}.${part}`));
    const size = x[0]!.length / this.config.heads;
    const result = x.map((row) => new Float64Array(row.length));
    for (let head = 0; head < this.config.heads; head++) {
      const part = (rows: Rows) => rows.map((row) => row.subarray(head * size, (head + 1) * size));
      const scores = product(part(query!), part(key!)).map((row) => row.map((s) => s / Math.sqrt(size)));
      for (const [t, row] of scores.entries()) {
        const highest = Math.max(...row);
        const exponentials = row.map((s) => Math.exp(s - highest));
        const total = exponentials.reduce((sum, e) => sum + e);
        for (const [s, v] of part(value!).entries()) {
          for (let i = 0; i < size; i++) result[t]![head * size + i]! += (exponentials[s]! / total) * v[i]!;
        }
      }
    }
    return result;
  }

  private linear(x: Rows, name: string): Rows {
    return product(x, this.rows(`${name}.weight`), this.weights.get(`${name}.bias`)!.values);
  }

  private layerNorm(x: Rows, name: string): Rows {
    const weight = this.weights.get(`${name}.weight`)!.values;
    const bias = this.weights.get(`${name}.bias`)!.values;
    return x.map((row) => {
      const mean = row.reduce((sum, value) => sum + value) / row.length;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
      const scale = 1 / Math.sqrt(variance + this.config.epsilon);
      return row.map((value, i) => (value - mean) * scale * weight[i]! + bias[i]!);
    });
  }

  private activate(x: Rows): Rows {
    if (this.config.activation === 'relu') return x.map((row) => row.map((value) => Math.max(0, value)));
    if (this.config.activation === 'gelu') return x.map((row) => row.map(gelu));
    throw new Error(`activation ${this.config.activation} has no reference`);
  }

  private rows(name: string): Rows {
    const tensor = this.weights.get(name);
    if (!tensor) return [];
    const columns = tensor.shape[1]!;
    return Array.from({ length: tensor.shape[0]! }, (_, i) =>
      Float64Array.from(tensor.values.subarray(i * columns, (i + 1) * columns)),
    );
  }
}

/** Names as `BertForMaskedLM` has them today, without the prefix of the encoder. */
function canonicalName(name: string): string {
  return name
    .replace(/^(bert|distilbert)\./, '')
    .replace(/gamma$/, 'weight')
    .replace(/beta$/, 'bias')
    .replace(/^transformer\.layer/, 'encoder.layer')
    .replace('attention.q_lin', 'attention.self.query')
    .replace('attention.k_lin', 'attention.self.key')
    .replace('attention.v_lin', 'attention.self.value')
    .replace('attention.out_lin', 'attention.output.dense')
    .replace('sa_layer_norm', 'attention.output.LayerNorm')
    .replace('output_layer_norm', 'output.LayerNorm')
    .replace('ffn.lin1', 'intermediate.dense')
    .replace('ffn.lin2', 'output.dense')
    .replace('vocab_transform', 'cls.predictions.transform.dense')
    .replace('vocab_layer_norm', 'cls.predictions.transform.LayerNorm')
    .replace('vocab_projector', 'cls.predictions.decoder');
}

/** `a b^T + bias`: (M, K) times (N, K) transposed. */
function product(a: Rows, b: Rows, bias?: ArrayLike<number>): Rows {
  return a.map((row) =>
    Float64Array.from(b, (other, n) => {
      let sum = bias?.[n] ?? 0;
      for (let k = 0; k < row.length; k++) sum += row[k]! * other[k]!;
      return sum;
    }),
  );
}

function add(a: Float64Array, b: Float64Array | undefined): Float64Array {
  return b ? a.map((value, i) => value + b[i]!) : a;
}

function addRows(a: Rows, b: Rows): Rows {
  return a.map((row, t) => add(row, b[t]));
}

/** `x Phi(x)`, Phi the normal distribution function: the exact form, not the tanh approximation. */
function gelu(x: number): number {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

/**
 * Error function to double precision: `2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (1 3 5 ... (2n+1))`, whose terms all
 * have the sign of x (Abramowitz & Stegun 7.1.6). Beyond 6 it is 1 to the last bit.
 */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
