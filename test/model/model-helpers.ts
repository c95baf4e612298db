import { expect } from 'vitest';
import { readModel } from '../../lib/model/model';
import type { TensorData } from '../support/safetensors-writer';
import { bertConfig, bertFiles, folder } from './tiny-model';

/** A tiny BERT folder with some files changed, or some fields of its config.json. */
export const bert = (changes: Record<string, unknown> = {}) => folder(bertFiles(changes));
export const config = (changes: object) => bert({ 'config.json': { ...bertConfig, ...changes } });

/** Tensors with some renamed (a function of the name; undefined drops the tensor). */
export function renamed(tensors: Record<string, TensorData>, rename: (name: string) => string | undefined) {
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([name, tensor]) => {
      const to = rename(name);
      return to === undefined ? [] : [[to, tensor]];
    }),
  );
}

/** What reading a model that must be refused is rejected with. */
export const error = (directory: string, overrides = {}) =>
  readModel(directory, overrides).then(
    () => expect.unreachable('the model was read'),
    (reason: unknown) => reason,
  );
