import type { NativeObjective, NativeUpdate } from '../native';
import type { Lambdas } from './clfr';
import type { TrainConfig } from './config';
import { rateFactor, stepsOf } from './schedule';

/** The objective of a step. `termWeights` (V) weigh the terms of the documents in their FLOPS. */
export function objectiveOf({ loss }: TrainConfig, lambdas: Lambdas, termWeights?: Float32Array): NativeObjective {
  const { flops, antiCollapse, distillation } = loss;
  const weights: NativeObjective['weights'] = {
    infoNCE: loss.infoNce,
    flopsDocuments: lambdas.documents,
    flopsQueries: lambdas.queries,
    antiCollapse: antiCollapse.weight,
    antiZero: loss.antiZero,
    marginMSE: distillation.marginMse,
    klDivergence: distillation.kl,
    ranking: distillation.ranking,
    [distillation.vocabularyLoss === 'mse' ? 'vocabularyMSE' : 'vocabularyCosine']: distillation.vocabulary,
  };
  const norm = flops.norm === 'l1' ? 'L1' : 'L2';
  return {
    weights,
    similarity: loss.similarity,
    negatives: loss.negatives,
    temperature: loss.temperature,
    distillationTemperature: distillation.temperature,
    teacherTemperature: distillation.teacherTemperature ?? distillation.temperature,
    flopsDocuments: { norm, minimumTerms: flops.maskTerms, ...(termWeights && { termWeights }) },
    flopsQueries: { norm, minimumTerms: 0 },
    antiCollapse: { k: antiCollapse.terms, margin: antiCollapse.margin },
  };
}

/** AdamW at a step, counted from 1, of a run of `steps`. */
export function updateOf({ optimizer }: TrainConfig, step: number, steps: number): NativeUpdate {
  const { rate, schedule, warmup, weightDecay, beta1, beta2, epsilon, clip } = optimizer;
  const factor = rateFactor(schedule, step, stepsOf(warmup, steps), steps);
  return { rate: rate * factor, weightDecay, beta1, beta2, epsilon, clip };
}
