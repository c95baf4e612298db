/**
 * Regular expressions over an alphabet of letters, matched longest first, without backtracking.
 *
 * The derivative of an expression by a letter matches what may follow that letter; derivatives taken again and again are
 * the states of a deterministic automaton (Brzozowski 1964, doi:10.1145/321239.321249). JavaScript's own expressions
 * take the first alternative that fits rather than the longest.
 */
export interface Expression {
  /** Written form; equal keys mean equal expressions. */
  readonly key: string;
  /** Whether it matches the empty string. */
  readonly nullable: boolean;
  derive(letter: string): Expression;
}

const NOTHING: Expression = { key: '∅', nullable: false, derive: () => NOTHING };
const EMPTY: Expression = { key: 'ε', nullable: true, derive: () => NOTHING };

/** Any one of some letters. */
export function oneOf(letters: string): Expression {
  return { key: `[${letters}]`, nullable: false, derive: (letter) => (letters.includes(letter) ? EMPTY : NOTHING) };
}

/** Expressions one after another. */
export function sequence(...parts: Expression[]): Expression {
  return parts.reduceRight((rest, part) => join(part, rest), EMPTY);
}

/** Any of several expressions. */
export function either(...choices: Expression[]): Expression {
  const distinct = new Map<string, Expression>();
  for (const choice of choices) {
    for (const part of (choice as { choices?: Expression[] }).choices ?? [choice]) {
      if (part !== NOTHING) distinct.set(part.key, part);
    }
  }
  // Sorted and without repetition, so that the number of different derivatives is finite.
  const parts = [...distinct.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  if (parts.length < 2) return parts[0] ?? NOTHING;
  const expression: Expression & { choices: Expression[] } = {
    key: `(${parts.map(({ key }) => key).join('|')})`,
    nullable: parts.some(({ nullable }) => nullable),
    derive: (letter) => either(...parts.map((part) => part.derive(letter))),
    choices: parts,
  };
  return expression;
}

/** An expression any number of times. */
export function many(part: Expression): Expression {
  const expression: Expression = {
    key: `${part.key}*`,
    nullable: true,
    derive: (letter) => join(part.derive(letter), expression),
  };
  return expression;
}

/** An expression once or more. */
export function some(part: Expression): Expression {
  return join(part, many(part));
}

/** An expression once or not at all. */
export function maybe(part: Expression): Expression {
  return either(EMPTY, part);
}

function join(a: Expression, b: Expression): Expression {
  if (a === NOTHING || b === NOTHING) return NOTHING;
  if (a === EMPTY) return b;
  if (b === EMPTY) return a;
  return {
    key: `(${a.key}${b.key})`,
    nullable: a.nullable && b.nullable,
    derive: (letter) => {
      const rest = join(a.derive(letter), b);
      return a.nullable ? either(rest, b.derive(letter)) : rest;
    },
  };
}

/** The automaton of an expression. States are numbers from 0, the start; `DEAD` matches nothing more. */
export class Automaton {
  static readonly DEAD = -1;
  /** States as rows, letters as columns. */
  readonly next: Int16Array;
  /** 1 for the states that end a match. */
  readonly accepts: Uint8Array;

  constructor(expression: Expression, letters: string) {
    const states = [expression];
    const numbers = new Map([[expression.key, 0]]);
    const next: number[] = [];
    for (const state of states) {
      for (const letter of letters) {
        const derivative = state.derive(letter);
        let number = derivative === NOTHING ? Automaton.DEAD : numbers.get(derivative.key);
        if (number === undefined) {
          number = states.push(derivative) - 1;
          numbers.set(derivative.key, number);
        }
        next.push(number);
      }
    }
    this.next = Int16Array.from(next);
    this.accepts = Uint8Array.from(states, ({ nullable }) => Number(nullable));
  }
}
