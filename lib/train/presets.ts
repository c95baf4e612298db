import type { TrainConfigChanges } from './config';

/** A recipe: what it sets, and which of that is published. */
export interface Preset {
  summary: string;
  /** What the recipe starts from where it is part of a sequence. */
  startsFrom: string;
  source: string;
  /** Keys whose values are published; the others are this package's choice. */
  published: readonly string[];
  changes: TrainConfigChanges;
}

const FLES_PUBLISHED = [
  'epochs',
  'batch.queries',
  'batch.negatives',
  'batch.givenNegatives',
  'batch.examples',
  'optimizer.rate',
  'loss.infoNce',
  'loss.temperature',
  'loss.flops.norm',
  'loss.flops.documents',
] as const;

/** 200,000 pairs twice, 32 queries with 7 random negatives each a step. */
const FLES = {
  epochs: 2,
  batch: { queries: 32, negatives: 7, givenNegatives: 0, examples: 200_000 },
  optimizer: { rate: 2e-5 },
  loss: { infoNce: 1, temperature: 0.05, similarity: 'dot', flops: { norm: 'l2', documents: 3e-5, queries: 3e-5 } },
} as const satisfies TrainConfigChanges;

const CONTROLLED = { target: 400, gain: 0.1, interval: 6250, window: 500 } as const;
const CONTROLLED_PUBLISHED = ['clfr.law', 'clfr.target', 'clfr.gain', 'clfr.interval', 'clfr.window'] as const;

const FLES_SOURCE = 'model cards of mindoval/fles1-v12b and fles2-v32';
/** Formal et al. 2021. */
const SPLADE_SOURCE = 'SPLADE v2 (Formal et al. 2021, arXiv:2109.10086), config_splade++_max.yaml of naver/splade';

const SPLADE = {
  steps: 150_000,
  batch: { queries: 128, negatives: 1 },
  text: { queryLength: 256, documentLength: 256 },
  optimizer: { rate: 2e-5, weightDecay: 0.01, warmup: 6000 },
  loss: {
    infoNce: 1,
    temperature: 1,
    similarity: 'dot',
    negatives: 'all',
    flops: { norm: 'l2', documents: 1e-4, queries: 3e-4 },
    antiCollapse: { weight: 0 },
  },
  clfr: { law: 'quadratic', warmup: 50_000 },
} as const satisfies TrainConfigChanges;
const SPLADE_PUBLISHED = [
  'steps',
  'batch.queries',
  'batch.negatives',
  'text.queryLength',
  'text.documentLength',
  'optimizer.rate',
  'optimizer.weightDecay',
  'optimizer.warmup',
  'loss.flops.norm',
  'loss.flops.documents',
  'loss.flops.queries',
  'clfr.law',
  'clfr.warmup',
] as const;

const SELF_DISTILLED = {
  ...FLES,
  loss: {
    ...FLES.loss,
    infoNce: 0,
    flops: { norm: 'l1', documents: 3e-6, queries: 3e-6 },
    distillation: { ranking: 0.7, vocabulary: 0.3, teacher: 'mindoval/fles1-v12b', teacherThreshold: 0.3 },
  },
  clfr: { law: 'relative', target: 400, gain: 0.1, interval: 'epoch', window: 500 },
} as const satisfies TrainConfigChanges;
const SELF_DISTILLED_PUBLISHED = [
  'epochs',
  'batch.examples',
  'optimizer.rate',
  'loss.flops.norm',
  'loss.distillation.ranking',
  'loss.distillation.vocabulary',
  'loss.distillation.teacher',
  'loss.distillation.teacherThreshold',
  'clfr.interval',
] as const;

export const PRESETS = {
  v7: {
    summary: 'the foundation: contrastive training with FLOPS regularisation, lambda constant',
    startsFrom: 'bert-base-uncased',
    source: 'named by the model cards as the foundation, without its recipe: that of v12a is used',
    published: [],
    changes: { ...FLES, clfr: { law: 'none' } },
  },
  v11c: {
    summary: 'CLFR at every step, with the gain of an epoch shared out',
    startsFrom: 'v7',
    source: FLES_SOURCE,
    published: [...FLES_PUBLISHED, 'clfr.law'],
    changes: { ...FLES, clfr: { ...CONTROLLED, law: 'per-step' } },
  },
  v12a: {
    summary: 'v12b without control: lambda constant',
    startsFrom: 'v7',
    source: FLES_SOURCE,
    published: [...FLES_PUBLISHED, 'clfr.law'],
    changes: { ...FLES, clfr: { ...CONTROLLED, law: 'none' } },
  },
  v12b: {
    summary: 'CLFR once an epoch: 400 terms a document held by the relative law',
    startsFrom: 'v7',
    source: FLES_SOURCE,
    published: [...FLES_PUBLISHED, ...CONTROLLED_PUBLISHED],
    changes: { ...FLES, clfr: { ...CONTROLLED, law: 'relative' } },
  },
  v14: {
    summary: 'v12b trained on with the L1 form of FLOPS',
    startsFrom: 'v12b',
    source: FLES_SOURCE,
    published: ['loss.flops.norm'],
    changes: {
      ...FLES,
      loss: { ...FLES.loss, flops: { norm: 'l1', documents: 3e-6, queries: 3e-6 } },
      clfr: { ...CONTROLLED, law: 'relative' },
    },
  },
  'fles2-v15': {
    summary: 'first pass of self-distillation from v12b: ranking counts 0.7, vocabulary 0.3',
    startsFrom: 'v7',
    source: FLES_SOURCE,
    published: SELF_DISTILLED_PUBLISHED,
    changes: SELF_DISTILLED,
  },
  'fles2-v32': {
    summary: 'second pass of self-distillation from v12b: ranking counts 0.3, vocabulary 0.7, lower rate',
    startsFrom: 'fles2-v15',
    source: FLES_SOURCE,
    published: SELF_DISTILLED_PUBLISHED,
    changes: {
      ...SELF_DISTILLED,
      optimizer: { rate: 5e-6 },
      loss: {
        ...SELF_DISTILLED.loss,
        distillation: { ...SELF_DISTILLED.loss.distillation, ranking: 0.3, vocabulary: 0.7 },
      },
    },
  },
  splade: {
    summary: 'negatives in the batch and one hard negative, lambda warmed up quadratically: no control',
    startsFrom: 'distilbert-base-uncased',
    source: SPLADE_SOURCE,
    published: SPLADE_PUBLISHED,
    changes: SPLADE,
  },
  'splade-doc': {
    summary: 'splade whose queries are bags of word pieces: no network for queries',
    startsFrom: 'distilbert-base-uncased',
    source: `${SPLADE_SOURCE}; section 2.3 of the paper`,
    published: [...SPLADE_PUBLISHED, 'network.queryKind'],
    changes: {
      ...SPLADE,
      network: { queryKind: 'bag' },
      loss: { ...SPLADE.loss, flops: { ...SPLADE.loss.flops, queries: 0 } },
    },
  },
  dense: {
    summary: 'a dense encoder, mean pooling and cosine, to compare a sparse one with',
    startsFrom: 'bert-base-uncased',
    source: 'sentence-transformers (Reimers and Gurevych 2019, arXiv:1908.10084)',
    published: [],
    changes: {
      network: { mode: 'dense' },
      loss: {
        similarity: 'cos',
        flops: { documents: 0, queries: 0 },
        antiCollapse: { weight: 0 },
      },
      clfr: { law: 'none' },
    },
  },
  mlm: {
    summary: 'masked-language-model training: a head for a model without one, or a model from scratch',
    startsFrom: 'any BERT or DistilBERT',
    source: 'BERT (Devlin et al. 2018, arXiv:1810.04805)',
    published: ['mlm.share', 'optimizer.weightDecay', 'optimizer.rate'],
    changes: {
      task: 'mlm',
      text: { documentLength: 128 },
      optimizer: { rate: 1e-4, weightDecay: 0.01 },
      mlm: { share: 0.15 },
      clfr: { law: 'none' },
    },
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;
