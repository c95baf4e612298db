import { Automaton, either, many, maybe, oneOf, sequence, some } from './automaton';
import { WORD_CLASS_RANGES } from './word-classes';

/** Longest token in UTF-16 units; a longer one is cut into pieces. */
const MAX_TOKEN_LENGTH = 255;

/** One letter a class, see word-classes.ts; the space stands for every other character. */
const CLASSES = ' ADNHPKLMBQWUXTZVEFGJOIR#SCY';

const automaton = new Automaton(grammar(), CLASSES);
const pages = classTable();

/**
 * Words as Lucene 10's StandardTokenizer finds them: the word boundaries of UAX #29 (Unicode 12.1) that hold letters,
 * digits, ideographs or emoji, each ideograph and hiragana by itself, South East Asian text in one piece, tokens cut
 * after 255 UTF-16 units.
 */
export function tokenize(text: string): string[] {
  const { next, accepts } = automaton;
  const tokens: string[] = [];
  let begin = 0;
  while (begin < text.length) {
    const limit = begin + MAX_TOKEN_LENGTH;
    let end = begin;
    let state = 0;
    let i = begin;
    while (i < text.length) {
      const c = text.codePointAt(i)!;
      i += c > 0xffff ? 2 : 1;
      if (i > limit) break;
      state = next[state * CLASSES.length + pages[c >> 8]![c & 0xff]!]!;
      if (state === Automaton.DEAD) break;
      if (accepts[state]) end = i;
    }
    if (end > begin) tokens.push(text.slice(begin, end));
    else end = begin + (text.codePointAt(begin)! > 0xffff ? 2 : 1);
    begin = end;
  }
  return tokens;
}

/** Lucene's grammar (StandardTokenizerImpl.jflex), all its kinds of token in one expression. */
function grammar() {
  // WB4: characters that extend the one before them belong to it.
  const extended = (letters: string) => sequence(oneOf(letters), many(oneOf('XTZVEFGJO')));
  const extendedSansSelectors = (letters: string) => sequence(oneOf(letters), many(oneOf('XTZVGJO')));

  const joiner = oneOf('Z');
  const picture = either(
    sequence(many(joiner), extendedSansSelectors('PI'), maybe(oneOf('F'))),
    extendedSansSelectors('O'),
  );
  const emoji = either(
    sequence(picture, either(many(sequence(joiner, picture)), sequence(some(oneOf('G')), oneOf('J')))),
    sequence(extendedSansSelectors('D#'), maybe(oneOf('F')), extendedSansSelectors('V')),
    sequence(extended('R'), extended('R')),
  );

  const letter = extended('APH');
  const hebrew = extended('H');
  const digit = extended('DN');
  const katakana = extended('K');
  const joins = extended('U');
  const number = sequence(digit, many(sequence(either(many(joins), extended('MBQ')), digit)));
  const word = either(
    sequence(katakana, many(sequence(many(joins), katakana))),
    some(
      either(
        sequence(hebrew, either(extended('Q'), sequence(extended('W'), hebrew))),
        number,
        sequence(letter, many(sequence(either(many(joins), extended('LBQ')), letter))),
      ),
    ),
  );
  const words = sequence(many(joins), word, many(sequence(some(joins), word)), many(joins));

  return either(emoji, words, some(extended('ST')), extended('C'), extended('Y'));
}

/** Class numbers by code point, in pages of 256. */
function classTable() {
  const pages: Uint8Array[] = Array(0x1100).fill(new Uint8Array(256));
  let c = 0;
  for (const range of WORD_CLASS_RANGES.trim().split(/\s+/)) {
    const [gap, length = '1'] = range.slice(1).split('.');
    const name = CLASSES.indexOf(range[0]!);
    c += Number.parseInt(gap!, 36);
    for (let end = c + Number.parseInt(length, 36); c < end; c++) {
      const page = c >> 8;
      if (pages[page] === pages[0x10ff]) pages[page] = new Uint8Array(256);
      pages[page]![c & 0xff] = name;
    }
  }
  return pages;
}
