/**
 * The stem of an English word, in lower case.
 *   Porter 1980, "An algorithm for suffix stripping", with the two departures of the author's own code (-bli for -abli,
 *   and -logi), as Lucene has them.
 *
 * A word of less than three UTF-16 units is its own stem; every unit but a, e, i, o, u and y is a consonant.
 */
export function stem(word: string): string {
  if (word.length < 3) return word;
  let result = plural(word);
  result = pastOrGerund(result);
  if (result.endsWith('y') && hasVowel(result.slice(0, -1))) result = `${result.slice(0, -1)}i`;
  result = replaceSuffix(result, DOUBLE_SUFFIXES);
  result = replaceSuffix(result, SIMPLE_SUFFIXES);
  result = dropSuffix(result);
  return finalLetters(result);
}

/** Step 2. The first suffix that fits decides, so a longer one stands before its own ending. */
const DOUBLE_SUFFIXES: readonly (readonly [string, string])[] = [
  ['ational', 'ate'],
  ['tional', 'tion'],
  ['enci', 'ence'],
  ['anci', 'ance'],
  ['izer', 'ize'],
  ['bli', 'ble'],
  ['alli', 'al'],
  ['entli', 'ent'],
  ['eli', 'e'],
  ['ousli', 'ous'],
  ['ization', 'ize'],
  ['ation', 'ate'],
  ['ator', 'ate'],
  ['alism', 'al'],
  ['iveness', 'ive'],
  ['fulness', 'ful'],
  ['ousness', 'ous'],
  ['aliti', 'al'],
  ['iviti', 'ive'],
  ['biliti', 'ble'],
  ['logi', 'log'],
];

/** Step 3. */
const SIMPLE_SUFFIXES: readonly (readonly [string, string])[] = [
  ['icate', 'ic'],
  ['ative', ''],
  ['alize', 'al'],
  ['iciti', 'ic'],
  ['ical', 'ic'],
  ['ful', ''],
  ['ness', ''],
];

/** Step 4. */
const LAST_SUFFIXES = [
  ...['al', 'ance', 'ence', 'er', 'ic', 'able', 'ible', 'ant', 'ement', 'ment', 'ent', 'sion', 'tion', 'ou', 'ism'],
  ...['ate', 'iti', 'ous', 'ive', 'ize'],
];

/** Step 1a. */
function plural(word: string): string {
  if (word.endsWith('sses') || word.endsWith('ies')) return word.slice(0, -2);
  return word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word;
}

/** Step 1b. */
function pastOrGerund(word: string): string {
  if (word.endsWith('eed')) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const rest = word.endsWith('ed') ? word.slice(0, -2) : word.endsWith('ing') ? word.slice(0, -3) : '';
  if (!hasVowel(rest)) return word;
  if (/(at|bl|iz)$/.test(rest)) return `${rest}e`;
  if (endsInDoubleConsonant(rest)) return /[lsz]$/.test(rest) ? rest : rest.slice(0, -1);
  return measure(rest) === 1 && endsInShortSyllable(rest) ? `${rest}e` : rest;
}

function replaceSuffix(word: string, suffixes: readonly (readonly [string, string])[]): string {
  const match = suffixes.find(([suffix]) => word.endsWith(suffix));
  if (!match) return word;
  const rest = word.slice(0, word.length - match[0].length);
  return measure(rest) > 0 ? rest + match[1] : word;
}

function dropSuffix(word: string): string {
  const suffix = LAST_SUFFIXES.find((ending) => word.endsWith(ending));
  if (!suffix) return word;
  // The s or t of -sion and -tion stays: it only allows the suffix -ion.
  const rest = word.slice(0, word.length - (suffix.endsWith('ion') ? 3 : suffix.length));
  return measure(rest) > 1 ? rest : word;
}

/** Step 5. The measure is that of the whole word, before its e is dropped. */
function finalLetters(word: string): string {
  const m = measure(word);
  let result = word;
  if (result.endsWith('e')) {
    const rest = result.slice(0, -1);
    if (m > 1 || (m === 1 && !endsInShortSyllable(rest))) result = rest;
  }
  return result.endsWith('l') && endsInDoubleConsonant(result) && m > 1 ? result.slice(0, -1) : result;
}

/** Number of times a vowel is followed by a consonant: m in [C](VC)^m[V]. */
function measure(word: string): number {
  let count = 0;
  let afterVowel = false;
  for (let i = 0; i < word.length; i++) {
    const consonant = isConsonant(word, i);
    if (consonant && afterVowel) count++;
    afterVowel = !consonant;
  }
  return count;
}

function hasVowel(word: string): boolean {
  for (let i = 0; i < word.length; i++) if (!isConsonant(word, i)) return true;
  return false;
}

function isConsonant(word: string, i: number): boolean {
  switch (word[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
      return false;
    case 'y':
      return i === 0 || !isConsonant(word, i - 1);
    default:
      return true;
  }
}

function endsInDoubleConsonant(word: string): boolean {
  const last = word.length - 1;
  return last > 0 && word[last] === word[last - 1] && isConsonant(word, last);
}

/** Consonant, vowel, consonant other than w, x, y: hop, not snow. */
function endsInShortSyllable(word: string): boolean {
  const last = word.length - 1;
  return (
    last > 1 &&
    isConsonant(word, last - 2) &&
    !isConsonant(word, last - 1) &&
    isConsonant(word, last) &&
    !/[wxy]$/.test(word)
  );
}
