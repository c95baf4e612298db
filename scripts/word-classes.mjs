// Writes lib/eval/word-classes.ts: the classes of characters that Lucene's StandardTokenizer tells apart, from the
// tables of Unicode 12.1, the version its grammar is compiled for.
//
//   npm install --no-save @unicode/unicode-12.1.0@2.0.7
//   node scripts/word-classes.mjs
import { writeFileSync } from 'node:fs';

const property = async (name) => new Set((await import(`@unicode/unicode-12.1.0/${name}/code-points.mjs`)).default);
const wordBreak = (name) => property(`Word_Break/${name}`);
const binary = (name) => property(`Binary_Property/${name}`);

const format = await wordBreak('Format');
const extend = await wordBreak('Extend');
const letter = await wordBreak('ALetter');
const numeric = await wordBreak('Numeric');
const katakana = await wordBreak('Katakana');
const midLetter = await wordBreak('MidLetter');
const midNum = await wordBreak('MidNum');
const midNumLet = await wordBreak('MidNumLet');
const extendNumLet = await wordBreak('ExtendNumLet');
const hebrew = await wordBreak('Hebrew_Letter');
const regional = await wordBreak('Regional_Indicator');
const complex = await property('Line_Break/Complex_Context');
const han = await property('Script/Han');
const hiragana = await property('Script/Hiragana');
const pictographic = await binary('Extended_Pictographic');
const emoji = await binary('Emoji');
const modifier = await binary('Emoji_Modifier');
const halfAndFullWidth = await property('Block/Halfwidth_And_Fullwidth_Forms');
const decimal = await property('General_Category/Decimal_Number');

const SINGLE = { "'": 'Q', '"': 'W', '\u200d': 'Z', '\u20e3': 'V', '\ufe0e': 'E', '\ufe0f': 'F', '\u{e007f}': 'J' };

function classOf(c) {
  const character = String.fromCodePoint(c);
  if (character in SINGLE) return SINGLE[character];
  if (/[#*]/.test(character)) return '#';
  if (/[0-9]/.test(character)) return 'D';
  const picture = pictographic.has(c) || (emoji.has(c) && !regional.has(c) && !modifier.has(c));
  if (letter.has(c)) return picture ? 'P' : 'A';
  if (picture) return 'I';
  if (hebrew.has(c)) return 'H';
  if (numeric.has(c) || (halfAndFullWidth.has(c) && decimal.has(c))) return 'N';
  if (katakana.has(c)) return 'K';
  if (midLetter.has(c)) return 'L';
  if (midNum.has(c)) return 'M';
  if (midNumLet.has(c)) return 'B';
  if (extendNumLet.has(c)) return 'U';
  if (regional.has(c)) return 'R';
  if (modifier.has(c)) return 'O';
  if (c >= 0xe0020 && c <= 0xe007e) return 'G';
  if (extend.has(c) || format.has(c)) return complex.has(c) ? 'T' : 'X';
  if (complex.has(c)) return 'S';
  if (han.has(c)) return 'C';
  if (hiragana.has(c)) return 'Y';
  return undefined;
}

const ranges = [];
let end = 0;
for (let c = 0; c < 0x110000; c++) {
  const name = classOf(c);
  if (name === undefined) continue;
  const begin = c;
  while (classOf(c + 1) === name) c++;
  const length = c + 1 - begin;
  ranges.push(name + (begin - end).toString(36) + (length > 1 ? `.${length.toString(36)}` : ''));
  end = c + 1;
}

const lines = [];
for (const range of ranges) {
  if (lines.length > 0 && lines.at(-1).length + range.length < 108) lines[lines.length - 1] += ` ${range}`;
  else lines.push(range);
}

writeFileSync(
  new URL('../lib/eval/word-classes.ts', import.meta.url),
  `// Written by scripts/word-classes.mjs from the tables of Unicode 12.1; do not edit.

/**
 * Ranges of code points and the class of each: the letter of the class, the gap since the last range and, behind a
 * point, the length of the range unless it is 1; numbers in base 36.
 *
 *   A letter   P letter that is an emoji   H Hebrew letter   N digit   D ASCII digit   K katakana
 *   L M B      may stand between letters, between digits, between both   Q single quote   W double quote   U joins like _
 *   X extends the character before it   Z zero-width joiner   V key cap   E F text and emoji selectors
 *   G J        tag and end of tags   O emoji modifier   I emoji   R regional indicator   # base of a key cap
 *   S T        South East Asian character, mark   C ideograph   Y hiragana
 */
export const WORD_CLASS_RANGES = \`
${lines.join('\n')}
\`;
`,
);
