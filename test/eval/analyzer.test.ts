import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { analyze } from '../../lib/eval/analyzer';
import { Automaton, either, many, oneOf, sequence } from '../../lib/eval/automaton';
import { stem } from '../../lib/eval/porter';
import { tokenize } from '../../lib/eval/standard-tokenizer';

const lines = (name: string) =>
  readFileSync(join(__dirname, 'fixtures', name), 'utf8')
    .replace(/\n$/, '')
    .split('\n');

/** Texts over all the characters of analyzer.txt, which has some of every class. */
const oddText = (maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...new Set(lines('analyzer.txt').join('\n'))), maxLength });

describe('against Lucene 10.3.1', () => {
  const texts = lines('analyzer.txt');
  const expected = lines('analyzer.tsv').map((line) => line.split('\t'));

  test('there is one expectation a text', () => {
    expect(texts.length).toBeGreaterThan(400);
    expect(expected.length).toBe(texts.length);
  });

  test('tokens are those of its StandardTokenizer', () => {
    expect(texts.map((text) => tokenize(text).join(' '))).toEqual(expected.map(([tokens]) => tokens));
  });

  test('terms are those of its chain for English', () => {
    expect(texts.map((text) => analyze(text).join(' '))).toEqual(expected.map(([, terms]) => terms));
  });
});

test('a token of more than 255 units is cut, a surrogate pair never', () => {
  expect(tokenize('x'.repeat(600)).map(({ length }) => length)).toEqual([255, 255, 90]);
  expect(tokenize('𐐀'.repeat(130)).map(({ length }) => length)).toEqual([254, 6]);
});

test('a title and its text keep their own terms whatever comes before them', () => {
  const text = oddText(40);
  fc.assert(
    fc.property(text, text, (a, b) => {
      // Between spaces nothing joins, so tokens do not depend on their neighbours.
      expect(analyze(`${a} \n ${b}`)).toEqual([...analyze(a), ...analyze(b)]);
    }),
  );
});

test('a token is a slice of the text, and tokens come in order without overlap', () => {
  fc.assert(
    fc.property(oddText(80), (text) => {
      let at = 0;
      for (const token of tokenize(text)) {
        expect(token.length).toBeGreaterThan(0);
        at = text.indexOf(token, at) + token.length;
        expect(at).toBeGreaterThanOrEqual(token.length);
      }
    }),
  );
});

test('lone surrogates separate words and break nothing', () => {
  expect(tokenize('a\ud800b \udc00c\ud83d')).toEqual(['a', 'b', 'c']);
});

test('the measure that drops a final e is that of the whole word', () => {
  expect(['probate', 'rate', 'cease', 'controll', 'roll'].map(stem)).toEqual([
    'probat',
    'rate',
    'ceas',
    'control',
    'roll',
  ]);
});

test('the automaton matches longest first where alternatives overlap', () => {
  const [a, b, c] = ['a', 'b', 'c'].map(oneOf) as [
    ReturnType<typeof oneOf>,
    ReturnType<typeof oneOf>,
    ReturnType<typeof oneOf>,
  ];
  const { next, accepts } = new Automaton(either(many(a), sequence(a, b, c)), 'abc');
  const matches = (word: string) => {
    let state = 0;
    for (const letter of word) {
      state = next[state * 3 + 'abc'.indexOf(letter)]!;
      if (state === Automaton.DEAD) return false;
    }
    return accepts[state] === 1;
  };
  expect(['', 'a', 'aaa', 'abc'].every(matches)).toBe(true);
  expect(['b', 'ab', 'aab', 'abca', 'aabc'].some(matches)).toBe(false);
});
