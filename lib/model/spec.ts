/** How the logits of a text's tokens become one sparse vector: see `FLES1Encoder`. */
export type Pooling = 'max' | 'sum' | 'log1p_log1p' | 'sum_log1p_log1p';

/** How the hidden states of a text's tokens become one dense vector: their mean, or that of [CLS]. */
export type DensePooling = 'mean' | 'cls';

/** Where query weights come from: the network, 1 for each distinct word piece, or a table in the model directory. */
export type QueryKind = 'encoder' | 'bag' | 'idf';

/** Storage types of weights the native core reads; it computes in float32 whatever the storage. */
export type WeightType = 'F32' | 'F16' | 'BF16';

export type Activation = 'gelu' | 'gelu_new' | 'relu';

/** The sizes of the network, named alike for BERT and DistilBERT. */
export interface NetworkConfig {
  vocabularySize: number;
  hiddenSize: number;
  layers: number;
  heads: number;
  intermediateSize: number;
  maxPositions: number;
  /** 0 for DistilBERT, which has no token types. */
  typeVocabularySize: number;
  layerNormEps: number;
  activation: Activation;
}

/** One tensor the network uses, under its canonical name, and where its bytes lie. */
export interface TensorPlace {
  /** Canonical: `embeddings.word.weight`, `layers.0.attention.query.bias`, `head.bias`, ... (docs/models.md lists them). */
  name: string;
  /** Index into `ModelSpec.files`. */
  file: number;
  dtype: WeightType;
  /** First byte, counted from the start of the file. */
  offset: number;
  shape: number[];
}

/** Everything known about a model folder before a weight is touched; `readModel` makes it and has checked all of it. */
export interface ModelSpec {
  /** The folder given, absolute. */
  directory: string;
  /** The folder that holds config.json and the tokenizer; differs from `directory` where modules.json says so. */
  networkDirectory: string;
  architecture: 'bert' | 'distilbert';
  config: NetworkConfig;
  /** A masked-language-model head is present. */
  hasHead: boolean;
  /** Tokens of a text including [CLS] and [SEP], 2..maxPositions. */
  maxLength: number;
  /** Present when `hasHead`. */
  sparse?: { pooling: Pooling };
  /** How a dense vector is made of the last hidden states. */
  dense?: { pooling: DensePooling; normalize: boolean };
  /** What the folder says it is. */
  mode: 'sparse' | 'dense';
  queryKind: QueryKind;
  /** The table of query weights; `readIdfTable` reads it. */
  idf?: { path: string; format: 'json' | 'safetensors' };
  /** Texts put before every query and every document ('' for most models). */
  prompts: { query: string; document: string };
  /** Absolute paths of the safetensors files. */
  files: string[];
  tensors: TensorPlace[];
  /** Number of weights used, a tied decoder counted once. */
  parameters: number;
  /** Storage type of most weights, e.g. `F16`. */
  storage: WeightType;
}
