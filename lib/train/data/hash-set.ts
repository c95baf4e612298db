import { spread } from './hash';

/**
 * A set of 32-bit hashes in 4 bytes a slot, a third to three quarters of the slots in use.
 *
 * Two things with one hash are one member: with n members, one thing in 2^32 / n that was never added seems to be there.
 */
export class HashSet {
  #slots = new Uint32Array(1024);
  #shift = 32 - 10;
  #size = 0;
  /** Zero marks an empty slot, so whether zero is a member is kept apart. */
  #hasZero = false;

  /** Members, different hashes. */
  get size(): number {
    return this.#size + Number(this.#hasZero);
  }

  add(hash: number): void {
    if (hash === 0) this.#hasZero = true;
    else if (this.#insert(hash) && ++this.#size > this.#slots.length * 0.75) this.#grow();
  }

  has(hash: number): boolean {
    if (hash === 0) return this.#hasZero;
    return this.#slots[this.#find(hash)] === hash;
  }

  /** The slot that holds a hash, or the empty one where it belongs. */
  #find(hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = spread(hash) >>> this.#shift;
    while (this.#slots[slot] !== 0 && this.#slots[slot] !== hash) slot = (slot + 1) & mask;
    return slot;
  }

  #insert(hash: number): boolean {
    const slot = this.#find(hash);
    if (this.#slots[slot] === hash) return false;
    this.#slots[slot] = hash;
    return true;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    this.#shift--;
    for (const hash of before) if (hash !== 0) this.#insert(hash);
  }
}
