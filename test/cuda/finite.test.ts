import { describe, expect, test } from 'vitest';
import { FLES1Encoder, type FromPretrainedOptions } from '../../lib/encode/encoder';
import { bertFiles, bertTensors, C, folder, V } from '../model/tiny-model';
import { backends } from '../support/native-ops';
import type { TensorData } from '../support/safetensors-writer';

const HUGE = 3e38;
const small = (i: number) => Math.sin(i + 1);

/** A model whose weights are small but for those of `huge`, each by its place. */
function model(huge: Record<string, (i: number) => number>): string {
  const decoder: TensorData = { dtype: 'F32', shape: [V, C], value: small };
  const tensors = Object.fromEntries(
    Object.entries({ ...bertTensors(), 'cls.predictions.decoder.weight': decoder }).map(([name, tensor]) => [
      name,
      { ...tensor, value: huge[name] ?? small },
    ]),
  );
  return folder(
    bertFiles({
      'model.safetensors': tensors,
      'config.json': {
        ...(bertFiles()['config.json'] as object),
        tie_word_embeddings: false,
      },
    }),
  );
}

// The row of the word "a", whose mean overflows; columns of the decoder that a logit overflows by, whatever its sign.
const word = model({ 'bert.embeddings.word_embeddings.weight': (i) => (Math.floor(i / C) === 5 ? HUGE : small(i)) });
const term = model({
  'cls.predictions.transform.LayerNorm.weight': () => 8,
  'cls.predictions.decoder.weight': (i) => (i === 7 * C ? HUGE : i === 8 * C ? -HUGE : small(i)),
});
const notFinite = expect.objectContaining({
  code: 'ERR_VECTOR_NOT_FINITE',
  message: expect.stringMatching(/^the network came to -?(nan|inf) in a batch of \d texts, expected finite numbers/),
});

describe.each(backends)('a network that overflows on %s', (device) => {
  async function rejection(directory: string, texts: string[], options: FromPretrainedOptions = {}): Promise<unknown> {
    const encoder = await FLES1Encoder.fromPretrained(directory, { device, ...options });
    const dense = options.mode === 'dense';
    try {
      return await (dense ? encoder.encodeDense(texts) : encoder.encodeBatch(texts)).catch((error: unknown) => error);
    } finally {
      encoder.dispose();
    }
  }

  test.each(['float32', 'bfloat16', 'int8'] as const)('is no text without terms in %s', async (dtype) => {
    for (const pooling of ['max', 'sum'] as const) {
      const options = { dtype, pooling };
      expect(await rejection(word, ['b c', 'b a'], options)).toEqual(notFinite);
      expect(await rejection(word, ['b c', 'b d'], options)).toMatchObject({ rows: 2 });
    }
  });

  test('has no weights without end', async () => {
    expect(await rejection(term, ['b c d e'])).toEqual(notFinite);
  });

  test('has no dense vectors of NaN', async () => {
    expect(await rejection(word, ['b c', 'b a'], { mode: 'dense' })).toEqual(notFinite);
    expect(await rejection(word, ['b c', 'b d'], { mode: 'dense' })).toMatchObject({ rows: 2 });
  });
});
