import type { ModelSpec } from '../model/spec';
import type { NativeTrainerOptions } from '../native';
import type { TrainConfig } from './config';
import type { ModelKind } from './model-folder';

/** How the texts of a run are pooled, as the configuration says, else as the folder of the model does. */
export function poolingOf({ task, network }: TrainConfig, spec: ModelSpec): NativeTrainerOptions['pooling'] {
  if (task === 'mlm') return 'max';
  return (
    network.pooling ?? (network.mode === 'dense' ? (spec.dense?.pooling ?? 'mean') : (spec.sparse?.pooling ?? 'max'))
  );
}

/** What a run makes. A dense encoder trained by its cosines gives vectors of length 1, so that a dot product is one. */
export function modelKindOf(config: TrainConfig, spec: ModelSpec): ModelKind {
  const { task, network, loss } = config;
  if (task === 'mlm') return { of: 'masked' };
  const pooling = poolingOf(config, spec);
  return pooling === 'mean' || pooling === 'cls'
    ? { of: 'dense', pooling, normalize: loss.similarity === 'cos' }
    : { of: 'sparse', pooling, queryKind: network.queryKind };
}
