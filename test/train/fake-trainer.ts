import { writeFileSync } from 'node:fs';
import { FlesError } from '../../lib/errors';
import type { NetworkConfig, TensorPlace } from '../../lib/model/spec';
import { tensorShapes } from '../../lib/model/tensors';
import type {
  Native,
  NativeModelSource,
  NativeTrainer,
  NativeTrainerOptions,
  NativeTrainingBatch,
} from '../../lib/native';
import { readSafetensors } from '../support/fixtures';

type Parts = Record<'weights' | 'first' | 'second', Map<string, Float32Array>>;

/** What a fake trainer does that a test wants to go wrong or to see. */
export interface FakeBehaviour {
  /** Called at every step before anything happens. */
  onStep?(step: number): void | Promise<void>;
  /** Called with what a step of retrieval is made of. */
  onBatch?(batch: Partial<NativeTrainingBatch>): void;
  /** Called before a file is written. */
  onSave?(path: string): void;
  /** Steps whose gradient is 0. */
  vanishes?(step: number): boolean;
  /** Terms a document when lambda is 1e-3. */
  terms?: number;
}

/**
 * Stands in for the native trainer where the loop around it is tested: its weights change with every batch, rate and lambda in a
 * way that shows any difference, and its documents have `terms (lambda / 1e-3)^-0.4` terms.
 */
export function fakeTrainer(behaviour: FakeBehaviour = {}): Native['NativeTrainer'] {
  return {
    async create(source: NativeModelSource, options: NativeTrainerOptions): Promise<NativeTrainer> {
      return new FakeTrainer(source, options, behaviour) as unknown as NativeTrainer;
    },
  };
}

class FakeTrainer {
  readonly device = 'cpu';
  readonly tensors: { name: string; shape: number[]; offset: number; decays: boolean }[];
  steps = 0;
  #parts: Parts;
  readonly #config: NetworkConfig;

  constructor(
    source: NativeModelSource,
    readonly options: NativeTrainerOptions,
    private readonly behaviour: FakeBehaviour,
  ) {
    this.#config = source.config;
    const shapes = [...tensorShapes('bert', source.config)];
    this.tensors = shapes.map(([name, shape]) => ({ name, shape, offset: 0, decays: true }));
    const stored = readSafetensors(source.files[0]!);
    const values = (name: string, size: number) => {
      const place = source.tensors.find((tensor) => tensor.name === name);
      return (
        [...stored.values()].find((tensor) => place && tensor.values.length === size)?.values ?? new Float32Array(size)
      );
    };
    const sizes = shapes.map(([name, shape]) => [name, shape.reduce((a, b) => a * b, 1)] as const);
    this.#parts = {
      weights: new Map(sizes.map(([name, size]) => [name, Float32Array.from(values(name, size))])),
      first: new Map(sizes.map(([name, size]) => [name, new Float32Array(size)])),
      second: new Map(sizes.map(([name, size]) => [name, new Float32Array(size)])),
    };
  }

  async step(
    batch: {
      queries: { tokens: Int32Array };
      documents: { tokens: Int32Array; offsets: Int32Array };
      positives: Int32Array;
      excluded?: Int32Array;
    },
    objective: { weights: Record<string, number> },
    update: { rate: number },
  ) {
    const step = this.steps + 1;
    await this.behaviour.onStep?.(step);
    this.behaviour.onBatch?.(batch as Partial<NativeTrainingBatch>);
    const vanished = this.behaviour.vanishes?.(step) ?? false;
    const seen = [...batch.queries.tokens, ...batch.documents.tokens].reduce((h, t) => (h * 31 + t) % 65_537, 7);
    const lambda = objective.weights.flopsDocuments!;
    if (!vanished) {
      this.#change(seen, update.rate, lambda);
      this.steps = step;
    }
    const documents = batch.documents.offsets.length - 1;
    const terms = Math.round((this.behaviour.terms ?? 100) * (lambda / 1e-3) ** -0.4);
    return {
      loss: 1 / step,
      terms: {
        infoNCE: { value: 1 / step, weight: 1, gradientNorm: 0.5 },
        flopsDocuments: { value: 3, weight: lambda, gradientNorm: 0.1 },
      },
      documentTerms: documents * terms,
      queryTerms: batch.positives.length * 9,
      documentFrequencies: new Int32Array(this.#config.vocabularySize),
      queryFrequencies: new Int32Array(this.#config.vocabularySize),
      headBytes: 100,
      gradientNorm: vanished ? 0 : 1,
      problem: vanished ? 'ERR_GRADIENT_VANISHED' : '',
      steps: this.steps,
      bytes: 1000,
      seconds: { forward: 0.01, update: 0.01 },
    };
  }

  async stepMaskedLanguageModel(batch: { tokens: Int32Array; labels: Int32Array }, update: { rate: number }) {
    const step = this.steps + 1;
    await this.behaviour.onStep?.(step);
    const seen = [...batch.tokens, ...batch.labels].reduce((h, t) => (h * 31 + t + 1) % 65_537, 7);
    this.#change(seen, update.rate, 0);
    this.steps = step;
    const predictions = batch.labels.filter((label) => label >= 0).length;
    return {
      loss: 1 / step,
      predictions,
      accuracy: 0.5,
      headBytes: 100,
      gradientNorm: 1,
      problem: '',
      steps: step,
      bytes: 1000,
      seconds: { forward: 0.01 },
    };
  }

  #change(seen: number, rate: number, lambda: number): void {
    for (const [part, scale] of [
      ['weights', 1e-3],
      ['first', 1],
      ['second', 2],
    ] as const) {
      for (const values of this.#parts[part].values()) {
        for (let i = 0; i < values.length; i++)
          values[i] = values[i]! * 0.999 + scale * (seen * rate + lambda + (i % 7) * 1e-4);
      }
    }
  }

  async save(path: string, header: string, parts: string[]): Promise<void> {
    this.behaviour.onSave?.(path);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
    const data = parts.map((part) => {
      const [, kind, name] = /^(\w+)\/(.*)$/.exec(part)!;
      const values = this.#parts[kind as keyof Parts].get(name!)!;
      return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    });
    writeFileSync(path, Buffer.concat([length, Buffer.from(header), ...data]));
  }

  async load(files: string[], tensors: TensorPlace[], steps: number): Promise<void> {
    const stored = readSafetensors(files[0]!);
    for (const { name } of tensors) {
      const [, kind, rest] = /^(\w+)\/(.*)$/.exec(name)!;
      const values = this.#parts[kind as keyof Parts].get(rest!);
      if (!values) throw new FlesError('ERR_TENSOR_MISSING', `${rest} is not known`);
      values.set(stored.get(name)!.values);
    }
    this.steps = steps;
  }

  dispose(): void {}
}
