import { Tokenizer as Library } from 'tokenizers';
import { describe, expect, test, vi } from 'vitest';
import { Tokenizer } from '../../lib/text/tokenizer';
import { folder, jsonTokenizer } from './tokenizer-files';

describe('a long text without spaces', () => {
  const marks = ['.', '-', '[', ']', '_', '中', '文', 'a', 'b', 'é', '\u0301', '[MASK]', '😀', ' '];
  const texts = [7, 11, 13].map((seed) => {
    let state = seed;
    return Array.from({ length: 6000 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return marks[state >>> 28] ?? 'the';
    }).join('');
  });

  test.each([true, false])('has the pieces that the library gives the whole of it (CJK apart: %s)', async (apart) => {
    const definition = jsonTokenizer();
    definition.normalizer.handle_chinese_chars = apart;
    const tokenizer = await Tokenizer.load(folder({ 'tokenizer.json': definition }));
    const library = Library.fromString(JSON.stringify({ ...definition, post_processor: null }));
    for (const text of [...texts, '.'.repeat(5000), '中'.repeat(5000), 'a'.repeat(5000)]) {
      const unspaced = text.replaceAll(' ', '');
      const whole = (await library.encode(unspaced)).getIds();
      expect([...(await tokenizer.wordPieces(unspaced))]).toEqual([...whole]);
      expect((await tokenizer.wordPiecesBatch([unspaced], { maxLength: 9 })).tokens).toEqual(
        Int32Array.from(whole.slice(0, 9)),
      );
    }
  });

  test('is read as far as it is wanted', async () => {
    const tokenizer = await Tokenizer.load(folder({ 'tokenizer.json': jsonTokenizer() }));
    const asked = vi.spyOn(Library.prototype, 'encodeBatch');
    const batch = await tokenizer.encodeBatch(['.-'.repeat(4e6)], { maxLength: 16 });
    expect(batch.tokens).toHaveLength(16);
    const characters = asked.mock.calls
      .flatMap(([texts]) => texts as string[])
      .reduce((sum, text) => sum + text.length, 0);
    asked.mockRestore();
    expect(characters).toBeGreaterThan(0);
    expect(characters).toBeLessThan(10_000);
  });
});
