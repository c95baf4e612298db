import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FLES1Encoder } from '../../lib/encode/encoder';
import { native } from '../../lib/native';
import type { SparseVector } from '../../lib/sparse-vector';
import { readModelFixture } from '../support/fixtures';
import { ReferenceEncoder } from '../support/reference-encoder';

const fixture = readModelFixture('bert-wide');
const texts = Array.from({ length: 200 }, (_, i) => fixture.texts.slice(i % 14, (i % 14) + 1 + (i % 3)).join(' '));

function entries(vector: SparseVector): [number, number][] {
  return Array.from(vector.terms, (term, i) => [term, vector.weights[i]!]);
}

async function collect(vectors: AsyncIterable<SparseVector>): Promise<[number, number][][]> {
  const all: [number, number][][] = [];
  for await (const vector of vectors) all.push(entries(vector));
  return all;
}

let encoder: FLES1Encoder;
let expected: [number, number][][];
beforeAll(async () => {
  encoder = await FLES1Encoder.fromPretrained(fixture.directory);
  expected = [...(await encoder.encodeBatch(texts))].map(entries);
});
afterAll(() => encoder.dispose());

describe('several calls', () => {
  test('many encodes at once give what each gives alone', async () => {
    const all = await Promise.all(texts.map((text) => encoder.encode(text)));
    expect(all.map(entries)).toEqual(expected);
  });

  test('two encoders of one model work side by side', async () => {
    const second = await FLES1Encoder.fromPretrained(fixture.directory);
    const [a, b] = await Promise.all([encoder.encodeBatch(texts), second.encodeBatch(texts)]);
    second.dispose();
    expect([...b].map(entries)).toEqual([...a].map(entries));
  });

  test('the event loop turns while a batch is computed', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await encoder.encodeBatch(Array.from({ length: 20 }, () => texts).flat());
    clearInterval(timer);
    // The call takes some tenths of a second; a blocked loop would turn once or not at all.
    expect(turns).toBeGreaterThan(5);
  });
});

describe('CPU levels', () => {
  afterAll(() => {
    delete process.env.FLES_CPU;
  });

  test.each(native.platform().cpuLevels)('FLES_CPU=%s gives the vectors of PyTorch', async (level) => {
    process.env.FLES_CPU = level;
    expect(native.platform().cpuLevel).toBe(level);
    const leveled = await FLES1Encoder.fromPretrained(fixture.directory);
    const rows = [...(await leveled.encodeBatch(fixture.texts, { maxLength: fixture.maxLength }))];
    const weights = fixture.expected('float32.max');
    for (const [i, row] of rows.entries()) {
      // An empty text has an empty vector here and that of [CLS] [SEP] there.
      if (fixture.tokens[i]!.length === 2) continue;
      const dense = new Float32Array(weights[i]!.length);
      for (const [term, weight] of entries(row)) dense[term] = weight;
      const difference = dense.reduce((most, weight, v) => Math.max(most, Math.abs(weight - weights[i]![v]!)), 0);
      expect(difference, fixture.texts[i]).toBeLessThanOrEqual(2e-4);
    }
    leveled.dispose();
  });

  test('a level that cannot run here is refused with those that can', async () => {
    process.env.FLES_CPU = 'sse9';
    await expect(FLES1Encoder.fromPretrained(fixture.directory)).rejects.toMatchObject({
      code: 'ERR_CPU_LEVEL',
      message: expect.stringContaining('portable'),
    });
  });
});

describe('options', () => {
  test('an unknown option is refused with the name that was meant', async () => {
    await expect(encoder.encode('a', { treshold: 1 } as object)).rejects.toMatchObject({
      code: 'ERR_OPTION_UNKNOWN',
      message: expect.stringContaining('did you mean "threshold"?'),
    });
  });

  test.each([
    [{ threshold: -1 }, 'ERR_OPTION_RANGE'],
    [{ threshold: Number.NaN }, 'ERR_OPTION_RANGE'],
    [{ topK: 0 }, 'ERR_OPTION_RANGE'],
    [{ topK: 524 }, 'ERR_OPTION_RANGE'],
    [{ maxLength: 1 }, 'ERR_OPTION_RANGE'],
    [{ maxLength: 65 }, 'ERR_OPTION_RANGE'],
    [{ batchSize: 0 }, 'ERR_OPTION_RANGE'],
    [{ kind: 'passage' }, 'ERR_OPTION_VALUE'],
  ])('%j is refused with %s', async (options, code) => {
    await expect(encoder.encode('a', options as object)).rejects.toMatchObject({ code });
  });

  test('a text that is no string is refused and named by its place', async () => {
    await expect(encoder.encodeBatch(['a', 7 as unknown as string])).rejects.toMatchObject({
      code: 'ERR_ARGUMENT_TYPE',
      message: expect.stringContaining('texts[1] is 7'),
    });
    await expect(encoder.encodeBatch('a' as unknown as string[])).rejects.toMatchObject({ code: 'ERR_ARGUMENT_TYPE' });
  });

  test('options that are no object, and texts that are no iterable, are refused', async () => {
    const refused = { code: 'ERR_ARGUMENT_TYPE' };
    await expect(encoder.encode('a', null as never)).rejects.toMatchObject(refused);
    await expect(encoder.encodeStream(undefined as never).next()).rejects.toMatchObject(refused);
    await expect(encoder.encodeStream(7 as never).next()).rejects.toMatchObject(refused);
  });

  test('no texts give no rows', async () => {
    const matrix = await encoder.encodeBatch([]);
    expect([matrix.rows, matrix.nnz]).toEqual([0, 0]);
  });

  test('queries and documents have cuts of their own, and a call overrides them', async () => {
    const cut = await FLES1Encoder.fromPretrained(fixture.directory, { document: { topK: 3 }, query: { topK: 2 } });
    const text = texts[5]!;
    expect((await cut.encode(text)).nnz).toBe(3);
    expect((await cut.encode(text, { kind: 'query' })).nnz).toBe(2);
    expect((await cut.encode(text, { kind: 'query', topK: 5 })).nnz).toBe(5);
    cut.dispose();
  });

  test('a device that is not there is refused with the reason', async () => {
    await expect(FLES1Encoder.fromPretrained(fixture.directory, { device: 'cuda:99' })).rejects.toMatchObject({
      code: 'ERR_DEVICE_UNAVAILABLE',
    });
  });

  test.each(['', '  \t\n', '\u200b', '\u0001'])('%j has no word pieces and an empty vector', async (text) => {
    expect((await encoder.encode(text)).nnz).toBe(0);
  });

  test('lone surrogates are read as U+FFFD', async () => {
    const [lone, replaced] = await encoder.encodeBatch(['a \ud800 b', 'a \ufffd b']);
    expect(entries(lone!)).toEqual(entries(replaced!));
  });
});

describe('progress and abortion', () => {
  test('progress rises to the number of texts', async () => {
    const seen: number[] = [];
    await encoder.encodeBatch(texts, {
      batchSize: 16,
      onProgress: (done, total) => {
        expect(total).toBe(texts.length);
        seen.push(done);
      },
    });
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(texts.length);
    expect(seen.length).toBeGreaterThan(5);
  });

  test('an aborted signal ends the call with its reason, and the encoder serves on', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const call = encoder.encodeBatch(Array.from({ length: 20 }, () => texts).flat(), {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(call).rejects.toBe(reason);
    expect(entries(await encoder.encode(texts[3]!))).toEqual(expected[3]);
  });

  test('a signal aborted while the weights are read ends the loading with its reason', async () => {
    const controller = new AbortController();
    const { NativeEncoder } = native;
    const load: typeof NativeEncoder.load = async (source) => {
      const network = await NativeEncoder.load(source);
      controller.abort(new Error('enough'));
      return network;
    };
    native.NativeEncoder = { load };
    try {
      const loading = FLES1Encoder.fromPretrained(fixture.directory, { signal: controller.signal });
      await expect(loading).rejects.toThrow('enough');
    } finally {
      native.NativeEncoder = NativeEncoder;
    }
  });

  test('a signal aborted before the call computes nothing', async () => {
    await expect(encoder.encode('a', { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('a stream gives no vector behind an abortion, also where more are ready', async () => {
    const controller = new AbortController();
    let seen = 0;
    const reading = (async () => {
      for await (const _ of encoder.encodeStream(texts, { signal: controller.signal })) {
        if (++seen === 3) controller.abort(new Error('enough'));
      }
    })();
    await expect(reading).rejects.toThrow('enough');
    expect(seen).toBe(3);
  });

  test('a stream that waits for its source ends when the signal aborts', async () => {
    const controller = new AbortController();
    async function* silent(): AsyncGenerator<string> {
      yield 'first';
      await new Promise(() => {});
    }
    const seen: number[] = [];
    const stream = encoder.encodeStream(silent(), { signal: controller.signal, batchSize: 1 });
    setTimeout(() => controller.abort(), 200);
    await expect(
      (async () => {
        for await (const vector of stream) seen.push(vector.nnz);
      })(),
    ).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('streams', () => {
  test('a stream gives the vectors of its texts in order', async () => {
    async function* source() {
      for (const [i, text] of texts.entries()) {
        if (i % 37 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        yield text;
      }
    }
    expect(await collect(encoder.encodeStream(source(), { batchSize: 4 }))).toEqual(expected);
    expect(await collect(encoder.encodeStream(texts))).toEqual(expected);
    expect(await collect(encoder.encodeStream([]))).toEqual([]);
  });

  test('leaving the loop early closes the source, which was read some windows ahead and no further', async () => {
    let read = 0;
    let closed = false;
    function* endless() {
      try {
        for (;;) yield texts[read++ % texts.length]!;
      } finally {
        closed = true;
      }
    }
    for await (const _ of encoder.encodeStream(endless(), { batchSize: 2 })) break;
    expect(closed).toBe(true);
    // A window is 8 batches of 2; one is consumed, one computed, one filled.
    expect(read).toBeLessThanOrEqual(3 * 16 + 1);
  });

  test('a text that is no string is named by its place in the stream', async () => {
    const mixed = [...texts, ...texts, 7 as unknown as string];
    await expect(collect(encoder.encodeStream(mixed, { batchSize: 1 }))).rejects.toMatchObject({
      code: 'ERR_ARGUMENT_TYPE',
      message: `texts[${2 * texts.length}] is 7, expected a string`,
    });
  });

  test('what the source throws comes out of the stream', async () => {
    async function* broken() {
      yield 'a';
      throw new Error('source broke');
    }
    await expect(collect(encoder.encodeStream(broken()))).rejects.toThrow('source broke');
  });
});

describe('the end of an encoder', () => {
  test('calls under way end, later ones are refused', async () => {
    const short = await FLES1Encoder.fromPretrained(fixture.directory);
    const running = short.encodeBatch(texts, { batchSize: 8 });
    short.dispose();
    short.dispose();
    await expect(short.encode('a')).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    expect(short.info.weightBytes).toBeGreaterThan(0);
    expect([...(await running)].map(entries)).toEqual(expected);
    expect(short.info.weightBytes).toBe(0);
  });
});

describe('modes and query kinds', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fles-encoder-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('a dense encoder refuses sparse calls and the reverse, naming the other call', async () => {
    const dense = await FLES1Encoder.fromPretrained(fixture.directory, { mode: 'dense' });
    await expect(dense.encode('a')).rejects.toMatchObject({
      code: 'ERR_MODEL_MODE',
      message: expect.stringContaining('encodeDense()'),
    });
    expect((await dense.encodeDense(['a', 'b'])).values.length).toBe(2 * 80);
    dense.dispose();
    await expect(encoder.encodeDense(['a'])).rejects.toMatchObject({ code: 'ERR_MODEL_MODE' });
  });

  test('a bag query has weight 1 for each distinct word piece and no special tokens', async () => {
    const bag = await FLES1Encoder.fromPretrained(fixture.directory, { queryKind: 'bag' });
    const pieces = bag.vocabulary.filter((term) => /^[a-z]+$/.test(term)).slice(0, 3);
    const query = await bag.encode(`${pieces.join(' ')} ${pieces[0]}`, { kind: 'query' });
    expect(query.toObject()).toEqual(Object.fromEntries(pieces.map((piece) => [piece, 1])));
    expect((await bag.encode('  ', { kind: 'query' })).nnz).toBe(0);
    expect(entries(await bag.encode(texts[4]!))).toEqual(expected[4]);
    bag.dispose();
  });

  test('an idf query has the weights of the table in the model folder', async () => {
    const model = join(folder, 'idf');
    await cp(fixture.directory, model, { recursive: true });
    const pieces = encoder.vocabulary.filter((term) => /^[a-z]+$/.test(term)).slice(0, 3);
    writeFileSync(join(model, 'idf.json'), JSON.stringify({ [pieces[0]!]: 2.5, [pieces[1]!]: 0.25 }));
    const idf = await FLES1Encoder.fromPretrained(model, { queryKind: 'idf' });
    const query = await idf.encode(pieces.join(' '), { kind: 'query' });
    expect(query.toObject()).toEqual({ [pieces[0]!]: 2.5, [pieces[1]!]: 0.25 });
    expect((await idf.encode(pieces.join(' '), { kind: 'query', threshold: 0.3 })).nnz).toBe(1);
    // In float32 a weight of 0.3 is not above 0.3.
    writeFileSync(join(model, 'idf.json'), JSON.stringify({ [pieces[0]!]: 0.3, [pieces[1]!]: 0.25 }));
    const equal = await FLES1Encoder.fromPretrained(model, { queryKind: 'idf' });
    expect((await equal.encode(pieces.join(' '), { kind: 'query', threshold: 0.3 })).nnz).toBe(0);
    equal.dispose();
    writeFileSync(
      join(model, 'config_sentence_transformers.json'),
      JSON.stringify({ prompts: { query: `${pieces[0]} `, document: '' } }),
    );
    const prompted = await FLES1Encoder.fromPretrained(model, { queryKind: 'idf' });
    expect(Object.keys((await prompted.encode(pieces[1]!, { kind: 'query' })).toObject()).sort()).toEqual(
      pieces.slice(0, 2).sort(),
    );
    prompted.dispose();
    idf.dispose();
  });

  test('the sum of log1p of log1p is that of the float64 reference', async () => {
    const summed = await FLES1Encoder.fromPretrained(fixture.directory, { pooling: 'sum_log1p_log1p' });
    const reference = new ReferenceEncoder(fixture.directory);
    const rows = [...(await summed.encodeBatch(fixture.texts, { maxLength: fixture.maxLength }))];
    for (const [i, row] of rows.entries()) {
      const tokens = fixture.tokens[i]!;
      if (tokens.length === 2) continue; // no word pieces: an empty vector
      const weights = new Map(entries(row));
      for (const [term, weight] of reference.sparse(tokens, 'sum_log1p_log1p').entries()) {
        expect(Math.abs((weights.get(term) ?? 0) - weight), fixture.texts[i]).toBeLessThanOrEqual(2e-4);
      }
    }
    summed.dispose();
  });

  test('info tells what the model is', () => {
    expect(encoder.info).toMatchObject({
      architecture: 'bert',
      mode: 'sparse',
      storage: 'F16',
      maxLength: 64,
      device: 'cpu',
      sparse: { pooling: 'max' },
      config: { vocabularySize: 523, hiddenSize: 80, heads: 2, layers: 2 },
    });
  });
});
