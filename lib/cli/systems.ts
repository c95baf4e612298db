import { nearest } from '../check';
import type { FLES1Encoder } from '../encode/encoder';
import { FlesError } from '../errors';
import { BM25_SYSTEMS, type EncodeCallbacks, type System } from '../eval/systems';
import { type EncoderOptions, encodeOptions, loadEncoder } from './encoder-options';
import type { Session } from './terminal';

/** Systems of a comparison, and the encoders that some of them hold. */
export interface OpenSystems {
  systems: System[];
  encoders: Map<string, FLES1Encoder>;
  dispose(): void;
}

/** A system as `--systems` names it; `model` is absent for the baselines. */
export interface NamedSystem {
  name: string;
  model?: string;
}

/** Opens systems. Whether a model is sparse or dense is up to its folder. Throws what loading a model throws. */
export async function openSystems(
  named: readonly NamedSystem[],
  options: EncoderOptions,
  session: Session,
): Promise<OpenSystems> {
  const encoders = new Map<string, FLES1Encoder>();
  const dispose = () => {
    for (const encoder of encoders.values()) encoder.dispose();
  };
  try {
    const systems: System[] = [];
    for (const { name, model } of named) {
      if (model === undefined) {
        systems.push(BM25_SYSTEMS[name as keyof typeof BM25_SYSTEMS]);
        continue;
      }
      const encoder = await loadEncoder(model, options, session);
      encoders.get(name)?.dispose();
      encoders.set(name, encoder);
      systems.push(encoderSystem(name, encoder, options));
    }
    return { systems, encoders, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/**
 * A member of `--systems`: `bm25`, `bm25-multifield` or `NAME=MODEL`. Throws `ERR_SYSTEM_UNKNOWN` for anything else.
 */
export function parseSystem(text: string): NamedSystem {
  const equals = text.indexOf('=');
  if (equals > 0 && equals < text.length - 1) return { name: text.slice(0, equals), model: text.slice(equals + 1) };
  if (Object.hasOwn(BM25_SYSTEMS, text)) return { name: text };
  const known = Object.keys(BM25_SYSTEMS);
  const guess = nearest(text, known);
  throw new FlesError(
    'ERR_SYSTEM_UNKNOWN',
    `there is no system "${text}", ${guess ? `did you mean "${guess}"?` : `expected ${known.join(', ')} or NAME=MODEL`}`,
  );
}

function encoderSystem(name: string, encoder: FLES1Encoder, options: EncoderOptions): System {
  const settings = encodeOptions(options);
  if (encoder.mode === 'dense') {
    return {
      kind: 'dense',
      name,
      encode: (texts, kind, callbacks) => encoder.encodeDense(texts, { ...settings, ...callbacks, kind }),
    };
  }
  return {
    kind: 'sparse',
    name,
    // The comparison cuts at each threshold by itself.
    encode: (texts, kind, callbacks?: EncodeCallbacks) =>
      encoder.encodeBatch(texts, { ...settings, ...callbacks, kind, threshold: 0 }),
  };
}
