import { FlesError } from '../errors';
import { readJson } from '../model/json';
import { CLFR_LAWS } from './clfr';
import { PRESETS, type PresetName } from './presets';
import {
  boolean,
  type Changes,
  choice,
  device,
  initialValues,
  integer,
  number,
  orNull,
  orWord,
  string,
  strings,
  type Values,
  withChanges,
} from './schema';

const MAX = 2 ** 31 - 1;

/** Every key of a training configuration with its default. */
export const TRAIN_SCHEMA = {
  task: choice('retrieval', ['retrieval', 'mlm'], 'what the model learns: to retrieve, or to fill in masked words'),
  model: string('bert-base-uncased', 'the model to start from: a folder or a hub id'),
  data: {
    paths: strings(
      ['train.jsonl'],
      'the training data, files or folders (docs/training-data.md); for task mlm, also texts alone',
    ),
    split: string('train', 'judgements of folders in BEIR layout'),
    corpus: orNull(
      string('', 'documents that random negatives are drawn from, or that ids stand for; null: found beside the data'),
    ),
    queries: orNull(string('', 'texts of the queries that ids stand for; null: found beside the data')),
    qrels: orNull(string('', 'judgements of id triples; null: found beside the data')),
  },
  output: string('model', 'the folder that the trained model, its checkpoints and its logs go to'),
  seed: integer(1, 0, 2 ** 32 - 1, 'decides order, subset, negatives, masks and dropout'),
  epochs: number(1, 1e-6, 1e6, 'how often the examples are gone through'),
  steps: orNull(integer(0, 1, MAX, 'steps of the run, whatever epochs says')),
  batch: {
    queries: integer(32, 1, 65_536, 'queries of a step; for task mlm, its texts'),
    negatives: integer(7, 0, 4096, 'documents of a query besides its positive'),
    givenNegatives: orNull(
      integer(0, 0, 4096, 'how many negatives are taken from those in the data, as far as it has them; null: all'),
    ),
    examples: orNull(integer(0, 1, MAX, 'examples of an epoch, a subset that the seed chooses; null: all')),
    shuffle: boolean(true, 'whether examples come in a new random order in every epoch'),
    lastStep: choice(
      'drop',
      ['drop', 'wrap'],
      'examples too few for a last step: left out, or filled up from the start of the epoch',
    ),
    microBatchTokens: orNull(
      integer(
        0,
        16,
        2 ** 24,
        'tokens in the network at once, which bounds memory and changes no result; null: by the size of the model',
      ),
    ),
  },
  text: {
    queryLength: integer(64, 2, 65_536, 'tokens kept of a query, [CLS] and [SEP] included'),
    documentLength: integer(256, 2, 65_536, 'tokens kept of a document; for task mlm, of a text'),
  },
  network: {
    mode: choice(
      'sparse',
      ['sparse', 'dense'],
      'what a text becomes: weighted terms, or one vector of the hidden size',
    ),
    pooling: orNull(
      choice(
        'max',
        ['max', 'sum', 'log1p_log1p', 'sum_log1p_log1p', 'mean', 'cls'],
        'how the logits of the tokens of a text become one sparse vector, or (mean, cls) their hidden states a dense one; null: as the folder of the model says',
      ),
    ),
    queryKind: choice(
      'encoder',
      ['encoder', 'bag'],
      'queries go through the network, or weigh 1 for each of their word pieces (SPLADE-doc)',
    ),
    startTerms: orNull(
      number(
        400,
        1,
        1e6,
        'terms of a document at the first step: the bias of all terms is lowered by one number until no more are left; null: as the model is',
      ),
    ),
    dropout: number(0.1, 0, 0.9, 'share of hidden values dropped'),
    attentionDropout: number(0.1, 0, 0.9, 'share of attention probabilities dropped'),
    device: device('auto', 'where to compute: auto takes CUDA where it is present; cuda:1 is the second device'),
    dtype: choice('float32', ['float32', 'bfloat16'], 'arithmetic of the matrix products; weights are float32'),
    recompute: boolean(false, 'whether activations are computed a second time instead of kept: less memory, more time'),
  },
  optimizer: {
    rate: number(2e-5, 0, 1, 'learning rate at its height'),
    schedule: choice('linear', ['linear', 'cosine', 'constant'], 'how the rate falls behind the warm-up'),
    warmup: number(0.1, 0, MAX, 'steps in which the rate rises from 0; below 1, their share of the run'),
    weightDecay: number(0.01, 0, 1, 'decoupled weight decay (AdamW), not of biases and LayerNorm'),
    beta1: number(0.9, 0, 0.9999, 'decay of the first moment'),
    beta2: number(0.999, 0, 0.99999, 'decay of the second moment'),
    epsilon: number(1e-8, 1e-9, 1e-2, 'added to the root of the second moment'),
    clip: number(1, 0, 1e6, 'the norm that all gradients together are cut to; 0: none'),
  },
  loss: {
    infoNce: number(1, 0, 1e6, 'weight of the contrastive loss'),
    temperature: number(0.05, 1e-4, 1e4, 'scores are divided by it'),
    similarity: choice('dot', ['dot', 'cos'], 'score of a query and a document'),
    negatives: choice('all', ['all', 'own'], 'a query is told apart from all documents of the step, or from its own'),
    flops: {
      norm: choice('l2', ['l2', 'l1'], 'sum of the squared mean weights of the terms (FLOPS), or of the mean weights'),
      documents: number(3e-5, 0, 1e6, 'lambda of the documents, which CLFR moves'),
      queries: number(3e-5, 0, 1e6, 'lambda of the queries'),
      weighting: choice(
        'none',
        ['none', 'idf', 'df'],
        'weight of a term: 1, its IDF (Geng et al. 2024), or rising with its share of documents (DF-FLOPS, Porco et al. 2025)',
      ),
      maskTerms: integer(
        0,
        0,
        MAX,
        'documents with at most that many terms are not penalised (l0 mask, Shen et al. 2025)',
      ),
    },
    antiCollapse: {
      weight: number(1, 0, 1e6, 'weight of the pull on the largest logits of texts that lose their terms; 0: none'),
      terms: integer(16, 1, 65_536, 'logits of a text that are pulled'),
      margin: number(0.5, 0, 100, 'value up to which they are pulled'),
    },
    antiZero: number(0, 0, 1e6, 'weight of 1/(sum of query weights)^2 + 1/(sum of document weights)^2'),
    distillation: {
      kl: number(0, 0, 1e6, "weight of the KL divergence from the teacher's scores of the documents of a query"),
      ranking: number(0, 0, 1e6, "weight of the KL divergence from the scores that the teacher's sparse vectors give"),
      marginMse: number(0, 0, 1e6, 'weight of the squared error of the margins between positive and negatives'),
      vocabulary: number(0, 0, 1e6, 'weight of the distance between the sparse vectors of student and teacher'),
      vocabularyLoss: choice('mse', ['mse', 'cosine'], 'that distance'),
      temperature: number(1, 1e-4, 1e4, 'scores of student and teacher are divided by it in kl'),
      teacherTemperature: orNull(
        number(1, 1e-4, 1e4, "the teacher's scores are divided by it instead, 0.05 for cosines; null: by temperature"),
      ),
      teacher: orNull(
        string('', 'a model that scores the documents: a folder or a hub id; null: scores stand in the data'),
      ),
      teacherThreshold: number(0, 0, 100, 'weights of the teacher up to this are dropped'),
    },
  },
  mlm: {
    share: number(0.15, 0.01, 0.9, 'task mlm: share of tokens that are hidden'),
  },
  clfr: {
    law: choice('relative', CLFR_LAWS, 'how lambda follows the measurement'),
    measure: choice(
      'nnz',
      ['nnz', 'flops'],
      'what is held: terms a document, or expected products a query-document pair',
    ),
    target: number(400, 1e-6, 1e9, 'its set point'),
    queryTarget: orNull(
      number(1, 1e-6, 1e9, 'terms a query at which lambda of the queries is held; null: that lambda stays'),
    ),
    gain: number(0.1, 0, 100, 'correction for an error of 100%'),
    integralGain: number(0.1, 0, 100, 'pi: correction for each 100% of summed error'),
    deadBand: number(0.02, 0, 1, 'pi: errors up to this share of the target are left alone'),
    interval: orWord('epoch', integer(1, 1, MAX, 'steps from one update to the next'), 'epoch'),
    window: integer(500, 1, MAX, 'steps at the end of an interval whose texts are counted'),
    warmup: number(0.33, 0, MAX, 'quadratic: steps until lambda is whole; below 1, their share of the run'),
    lambdaMin: number(1e-9, 0, 1e6, 'lower bound of lambda'),
    lambdaMax: number(1e2, 0, 1e6, 'upper bound of lambda'),
  },
  evaluation: {
    data: orNull(string('', 'a folder in BEIR layout that the model is evaluated on meanwhile; null: none')),
    split: string('dev', 'its judgements'),
    every: orWord(
      'epoch',
      integer(1, 1, MAX, 'steps from one evaluation to the next; there is one at the end in any case'),
      'epoch',
    ),
    leaks: choice(
      'report',
      ['report', 'drop', 'fail'],
      'what is done about training examples that give away queries of the evaluation: told, left out, or refused',
    ),
    metric: string('ndcg_cut_10', "the measure that decides which checkpoint is best, by trec_eval's name"),
    maxLength: orNull(integer(2, 2, 65_536, 'tokens read of its texts; null: as many as in training')),
  },
  checkpoint: {
    every: integer(500, 1, MAX, 'steps from one checkpoint to the next; there is one at the end in any case'),
    keep: integer(2, 1, 1000, 'latest checkpoints that are kept'),
  },
  log: {
    every: integer(10, 1, MAX, 'steps that a line of metrics.jsonl sums up'),
  },
} as const;

export interface TrainConfig extends Values<typeof TRAIN_SCHEMA> {}
export type TrainConfigChanges = Changes<typeof TRAIN_SCHEMA>;

/** Some keys of a configuration and where they come from, for messages. */
export interface ConfigLayer {
  source: string;
  changes: unknown;
}

/**
 * The configuration of a preset (or the defaults) with layers over it, the last one winning.
 *
 * @throws FlesError `ERR_PRESET_UNKNOWN`, `ERR_CONFIG_KEY`, `ERR_CONFIG_VALUE`, `ERR_CONFIG_CONFLICT` (keys that contradict
 *   each other)
 */
export function makeConfig(preset: string | undefined, ...layers: readonly ConfigLayer[]): TrainConfig {
  const name = preset === undefined ? undefined : presetName(preset);
  const first = { source: `preset ${name}`, changes: name ? PRESETS[name].changes : {} };
  let config = initialValues(TRAIN_SCHEMA);
  for (const { source, changes } of [first, ...layers]) config = withChanges(TRAIN_SCHEMA, config, changes, source);
  checkConfig(config);
  return config;
}

/** Throws `ERR_PRESET_UNKNOWN` for a name that is none of them. */
export function presetName(name: string): PresetName {
  if (Object.hasOwn(PRESETS, name)) return name as PresetName;
  const known = Object.keys(PRESETS).join(', ');
  throw new FlesError('ERR_PRESET_UNKNOWN', `there is no preset "${name}", expected one of ${known}`);
}

/** `key=value` as a layer: dots lead into nested keys; the value is JSON, or a string where it is not. */
export function parseSetting(setting: string): ConfigLayer {
  const equals = setting.indexOf('=');
  if (equals <= 0) {
    throw new FlesError('ERR_CONFIG_SETTING', `--set ${setting}: expected key=value, such as clfr.target=400`);
  }
  const path = setting.slice(0, equals).trim().split('.');
  let changes: unknown = parseValue(setting.slice(equals + 1).trim());
  for (const key of path.reverse()) changes = { [key]: changes };
  return { source: `--set ${setting}`, changes };
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A JSON file as a layer. Throws `ERR_FILE_NOT_FOUND`, `ERR_JSON`. */
export async function readConfigFile(path: string): Promise<ConfigLayer> {
  const changes = await readJson(path, { pipe: true });
  if (changes === undefined) {
    throw new FlesError('ERR_FILE_NOT_FOUND', `${path} does not exist; it should hold a training configuration`);
  }
  return { source: path, changes };
}

/** A dense vector has no terms: nothing to count, to hold down, or to learn from a sparse one. */
function checkDense({ clfr, loss, network }: TrainConfig): void {
  const { flops, antiCollapse, antiZero, distillation } = loss;
  const dense = network.mode === 'dense';
  const { pooling } = network;
  const wrong = (key: string, value: unknown, hint: string) =>
    new FlesError('ERR_CONFIG_CONFLICT', `${key} is ${value} but network.mode is "${network.mode}"; ${hint}`);
  if (pooling !== null && (pooling === 'mean' || pooling === 'cls') !== dense) {
    throw wrong(
      'network.pooling',
      `"${pooling}"`,
      `set network.mode=${dense ? 'sparse' : 'dense'} or network.pooling=null`,
    );
  }
  if (!dense) return;
  if (clfr.law !== 'none') throw wrong('clfr.law', `"${clfr.law}"`, 'which has no terms to count; set clfr.law=none');
  if (network.queryKind === 'bag') throw wrong('network.queryKind', '"bag"', 'set network.queryKind=encoder');
  if (network.startTerms !== null) throw wrong('network.startTerms', network.startTerms, 'set network.startTerms=null');
  const ofTerms = {
    'loss.flops.documents': flops.documents,
    'loss.flops.queries': flops.queries,
    'loss.antiCollapse.weight': antiCollapse.weight,
    'loss.antiZero': antiZero,
    'loss.distillation.ranking': distillation.ranking,
    'loss.distillation.vocabulary': distillation.vocabulary,
  };
  for (const [key, weight] of Object.entries(ofTerms)) {
    if (weight > 0) throw wrong(key, weight, `whose vectors have no terms; set ${key}=0`);
  }
}

/** Refuses keys that contradict each other. */
function checkConfig(config: TrainConfig): void {
  const { batch, clfr, loss, task, network } = config;
  const refuse = (message: string) => new FlesError('ERR_CONFIG_CONFLICT', message);
  const closed = task === 'retrieval' && clfr.law !== 'none' && clfr.law !== 'quadratic';
  if (clfr.lambdaMin > clfr.lambdaMax) {
    throw refuse(`clfr.lambdaMin is ${clfr.lambdaMin}, expected at most clfr.lambdaMax, ${clfr.lambdaMax}`);
  }
  if (task === 'retrieval') checkDense(config);
  for (const of of ['documents', 'queries'] as const) {
    const lambda = loss.flops[of];
    if (!closed || (of === 'queries' && clfr.queryTarget === null)) continue;
    if (clfr.lambdaMin === 0) {
      throw refuse(
        `clfr.lambdaMin is 0, expected a number above it: the law "${clfr.law}" multiplies lambda, and 0 would stay 0`,
      );
    }
    if (lambda < clfr.lambdaMin || lambda > clfr.lambdaMax) {
      throw refuse(
        `loss.flops.${of} is ${lambda}, expected a number above 0 in clfr.lambdaMin..lambdaMax ` +
          `(${clfr.lambdaMin}..${clfr.lambdaMax}): the law "${clfr.law}" multiplies it; start higher or set clfr.law=none`,
      );
    }
  }
  if (closed && clfr.law === 'adaptive' && clfr.gain === 0) {
    throw refuse('clfr.gain is 0, expected a number above it: the law "adaptive" begins with the inverse of it');
  }
  if (closed && clfr.queryTarget !== null && network.queryKind === 'bag') {
    throw refuse(
      `clfr.queryTarget is ${clfr.queryTarget} but network.queryKind is "bag": no lambda moves the terms of such queries; set clfr.queryTarget=null`,
    );
  }
  if (task === 'retrieval' && (batch.givenNegatives ?? 0) > batch.negatives) {
    throw refuse(
      `batch.givenNegatives is ${batch.givenNegatives}, expected at most batch.negatives, ${batch.negatives}; lower it or raise that`,
    );
  }
  if (task === 'mlm' && batch.lastStep === 'wrap') {
    throw refuse('batch.lastStep is "wrap", which the task mlm does not have; set batch.lastStep=drop');
  }
  const { kl, ranking, marginMse, vocabulary, teacher } = loss.distillation;
  for (const [key, weight] of Object.entries({ ranking, vocabulary })) {
    if (weight > 0 && teacher === null) {
      throw refuse(
        `loss.distillation.${key} is ${weight} without loss.distillation.teacher; name a sparse model, or set loss.distillation.${key}=0`,
      );
    }
  }
  if (task === 'retrieval' && teacher !== null && kl + ranking + marginMse + vocabulary === 0) {
    throw refuse(
      `loss.distillation.teacher is ${teacher}, but nothing is learnt from it; set loss.distillation.kl, ranking, marginMse or vocabulary`,
    );
  }
  if (task === 'retrieval' && loss.infoNce + kl + ranking + marginMse + vocabulary === 0) {
    throw refuse('loss.infoNce and all weights of loss.distillation are 0: nothing is learnt; set one of them');
  }
  const competing = (loss.negatives === 'own' ? 1 : batch.queries) * (1 + batch.negatives);
  if (task === 'retrieval' && competing === 1 && kl + marginMse + vocabulary === 0) {
    throw refuse(
      `batch.negatives is 0${loss.negatives === 'own' ? ' and loss.negatives is "own"' : ' and batch.queries is 1'}: ` +
        'a positive has no other document to be told from, nothing is learnt; raise batch.negatives',
    );
  }
}
