import { hashText, hashTextAgain, spread } from './hash';

/**
 * Numbers of ids: the id added as the nth is number n, from 0.
 *
 * Ids that are their own numbers ("0", "1", ... as in MS MARCO's collection) cost nothing. Of others 64 bits of hash stand for
 * the id, at 12 bytes a slot and 16 to 32 an id: that two of ten million ids share them has a chance of one in 10^5.
 */
export class IdTable {
  #size = 0;
  /** Whether the nth id is n so far; the slots are empty as long. */
  #isPlain = true;
  /** Three words a slot, which one line of the cache mostly holds: number + 1, or 0 if it is empty, and two hashes of the id. */
  #slots = new Uint32Array(0);
  #shift = 32;

  get size(): number {
    return this.#size;
  }

  /** Adds an id. Returns false, and adds nothing, when it is there already. */
  add(id: string): boolean {
    if (this.#isPlain && id === String(this.#size)) {
      this.#size++;
      return true;
    }
    if (this.find(id) >= 0) return false;
    if (this.#isPlain) this.#fill();
    this.#insert(hashId(id), secondHashId(id), ++this.#size);
    if (3 * this.#size > this.#slots.length * 0.75) this.#grow();
    return true;
  }

  /** The number of an id, -1 when there is none. */
  find(id: string): number {
    const integer = integerOf(id);
    return integer >= 0 ? this.findInteger(integer) : this.#find(hashText(id), hashTextAgain(id));
  }

  /** The number of an integer, 0..999999999, in decimal. */
  findInteger(integer: number): number {
    if (this.#isPlain) return integer < this.#size ? integer : -1;
    return this.#find(hashInteger(integer), secondHashInteger(integer));
  }

  #find(first: number, second: number): number {
    if (this.#isPlain) return -1;
    const slots = this.#slots;
    let at = 3 * (spread(first) >>> this.#shift);
    while (slots[at] !== 0 && (slots[at + 1] !== first || slots[at + 2] !== second)) {
      at += 3;
      if (at === slots.length) at = 0;
    }
    return slots[at]! - 1;
  }

  #insert(first: number, second: number, numberPlusOne: number): void {
    const slots = this.#slots;
    let at = 3 * (spread(first) >>> this.#shift);
    while (slots[at] !== 0) {
      at += 3;
      if (at === slots.length) at = 0;
    }
    slots[at] = numberPlusOne;
    slots[at + 1] = first;
    slots[at + 2] = second;
  }

  /** Puts the ids so far, which are their own numbers, into slots. */
  #fill(): void {
    this.#isPlain = false;
    this.#resize(2 ** Math.max(4, Math.ceil(Math.log2(2 * this.#size + 2))));
    for (let number = 0; number < this.#size; number++) {
      this.#insert(hashInteger(number), secondHashInteger(number), number + 1);
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#resize((2 * before.length) / 3);
    for (let at = 0; at < before.length; at += 3) {
      if (before[at] !== 0) this.#insert(before[at + 1]!, before[at + 2]!, before[at]!);
    }
  }

  /** Empty slots, a power of two. */
  #resize(count: number): void {
    this.#slots = new Uint32Array(3 * count);
    this.#shift = 32 - Math.log2(count);
  }
}

/** Hash of an id; that of an integer in decimal, which most ids are, follows from its value. */
export function hashId(id: string): number {
  const integer = integerOf(id);
  return integer >= 0 ? hashInteger(integer) : hashText(id);
}

/** `hashId` of the decimal digits of an integer, 0..999999999. */
export function hashInteger(integer: number): number {
  return spread(integer ^ 0x5bd1e995);
}

function secondHashId(id: string): number {
  const integer = integerOf(id);
  return integer >= 0 ? secondHashInteger(integer) : hashTextAgain(id);
}

function secondHashInteger(integer: number): number {
  return spread(integer ^ 0x2545f491);
}

/** The value of an id that is an integer in decimal without leading zeros, of nine digits at most; otherwise -1. */
function integerOf(id: string): number {
  return /^(0|[1-9]\d{0,8})$/.test(id) ? Number(id) : -1;
}
