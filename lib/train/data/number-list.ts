/** Numbers in a typed array that grows. */
export class NumberList {
  length = 0;
  #values = new Float64Array(64);

  push(value: number): void {
    if (this.length === this.#values.length) {
      const values = new Float64Array(2 * this.length);
      values.set(this.#values);
      this.#values = values;
    }
    this.#values[this.length++] = value;
  }

  /** The numbers, in an array of their own. */
  toArray(): Float64Array {
    return this.#values.slice(0, this.length);
  }
}
