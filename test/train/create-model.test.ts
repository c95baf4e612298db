import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FLES1Encoder } from '../../lib/encode/encoder';
import { readModel } from '../../lib/model/model';
import { createModel } from '../../lib/train/create-model';
import { learnWordPieces } from '../../lib/train/word-pieces';
import { temporaryFolder } from '../cli/temporary';
import { readSafetensors } from '../support/fixtures';

const texts = ['Low lower lowest LOW!', 'new newer newest, wider'];

describe('a vocabulary learnt from texts', () => {
  test('joins the most frequent neighbours first; ties go to the pair that is first by its pieces', async () => {
    // low 2, lower 1, lowest 1, new 1, newer 1, newest 1, wider 1, ! 1, "," 1
    const terms = await learnWordPieces(texts, 100);
    const characters = ['!', ',', 'd', 'e', 'i', 'l', 'n', 'o', 'r', 's', 't', 'w'];
    const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
    const continuing = ['##d', '##e', '##i', '##o', '##r', '##s', '##t', '##w'];
    expect(terms.slice(0, 25)).toEqual([...special, ...characters, ...continuing]);
    // Pairs: l o 4, o w 4, then lo w 4; "##e ##w" 3, "n ##e" 3; "##w ##e" 4 is gone with "##ow".
    expect(terms.slice(25, 29)).toEqual(['##ow', 'low', '##er', '##ew']);
  });

  test('has at most the terms asked for, the same for the same texts, and fails where not even characters fit', async () => {
    const whole = await learnWordPieces(texts, 1000);
    expect(whole.length).toBeLessThan(60);
    expect(new Set(whole).size).toBe(whole.length);
    expect(await learnWordPieces(texts, 32)).toEqual(whole.slice(0, 32));
    await expect(learnWordPieces(texts, 20)).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_VOCABULARY_SIZE',
        message: expect.stringContaining('25 terms, expected at most 20'),
      }),
    );
  });

  test('is not learnt from nothing', async () => {
    const once = (function* () {
      yield* texts;
    })();
    await learnWordPieces(once, 60);
    for (const nothing of [[], ['', ' \n'], once]) {
      await expect(learnWordPieces(nothing, 60)).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_VOCABULARY_SIZE', message: expect.stringContaining('have 0 words') }),
      );
    }
  });

  test('reads texts as BERT does: lower case, no accents, punctuation apart', async () => {
    const terms = await learnWordPieces(['Élan-vital'], 100);
    expect(terms).toEqual(expect.arrayContaining(['elan', 'vital', '-']));
    expect(terms.join('')).not.toMatch(/[É]/);
  });
});

describe('a model from scratch', () => {
  const sizes = { vocabularySize: 60, hiddenSize: 24, layers: 2, heads: 3, maxPositions: 20 };

  test('is a folder that loads, with the sizes asked for and a tied head', async () => {
    const folder = await temporaryFolder();
    await createModel(folder, { texts, ...sizes });
    const spec = await readModel(folder);
    expect(spec).toMatchObject({ mode: 'sparse', hasHead: true, maxLength: 20, storage: 'F32' });
    expect(spec.config).toMatchObject({ hiddenSize: 24, layers: 2, heads: 3, intermediateSize: 96, maxPositions: 20 });
    const encoder = await FLES1Encoder.fromPretrained(folder);
    const vector = await encoder.encode('newer');
    expect(vector.terms.length).toBeGreaterThan(0);
    encoder.dispose();
  });

  test('has matrices of deviation 0.02, biases of 0 and LayerNorms of 1', async () => {
    const folder = await temporaryFolder();
    await createModel(folder, { texts, ...sizes });
    const tensors = readSafetensors(join(folder, 'model.safetensors'));
    const { values } = tensors.get('bert.encoder.layer.1.intermediate.dense.weight')!;
    const squares = values.reduce((sum, value) => sum + value * value, 0);
    // 2,304 values: the deviation of the estimate is 1.5%.
    expect(Math.sqrt(squares / values.length) / 0.02).toBeCloseTo(1, 1);
    expect(new Set(tensors.get('cls.predictions.transform.LayerNorm.weight')!.values)).toEqual(new Set([1]));
    expect(new Set(tensors.get('bert.encoder.layer.0.output.dense.bias')!.values)).toEqual(new Set([0]));
  });

  test('has the same bytes for the same seed, others for another', async () => {
    const weights = async (seed: number) => {
      const folder = await temporaryFolder();
      await createModel(folder, { texts, ...sizes, seed });
      return (await readFile(join(folder, 'model.safetensors'))).toString('base64');
    };
    expect(await weights(5)).toBe(await weights(5));
    expect(await weights(5)).not.toBe(await weights(6));
  });

  test.each(['tokenizer.json', 'modules.json'])('is not made beside %s of another one', async (name) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, name), '{}');
    await expect(createModel(folder, { texts, ...sizes })).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_OUTPUT_EXISTS',
        message: `${folder} holds ${name} already; choose another folder`,
      }),
    );
  });

  test('leaves no folder where its texts are refused, unless the folder was there', async () => {
    const folder = await temporaryFolder();
    const code = 'ERR_VOCABULARY_SIZE';
    await expect(createModel(join(folder, 'new'), { texts: [] })).rejects.toMatchObject({ code });
    expect(await readdir(folder)).toEqual([]);
    await expect(createModel(folder, { texts: [] })).rejects.toMatchObject({ code });
    expect(await readdir(folder)).toEqual([]);
  });

  test('does not replace a model, and its heads divide its width', async () => {
    const folder = await temporaryFolder();
    await createModel(folder, { texts, ...sizes });
    await expect(createModel(folder, { texts })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_OUTPUT_EXISTS' }),
    );
    await expect(createModel(folder, { texts, hiddenSize: 24, heads: 5 })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_OPTION_RANGE', message: expect.stringContaining('divides hiddenSize, 24') }),
    );
  });
});
