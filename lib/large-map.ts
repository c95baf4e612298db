/** Entries that a JavaScript `Map` takes. */
const MOST = 2 ** 24;

/** Values by string, as many as there is memory for: a JavaScript `Map` ends at 2^24 entries. */
export class LargeMap<V extends number | true> {
  private readonly most: number;
  /** The last one is being filled. */
  private readonly parts: Map<string, V>[] = [new Map()];

  /** `most`: entries of a part; tests make them few. */
  constructor(most = MOST) {
    this.most = most;
  }

  get size(): number {
    return (this.parts.length - 1) * this.most + this.parts.at(-1)!.size;
  }

  get(key: string): V | undefined {
    for (const part of this.parts) {
      const value = part.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** Adds a key, which must not be there. */
  add(key: string, value: V): void {
    if (this.parts.at(-1)!.size === this.most) this.parts.push(new Map());
    this.parts.at(-1)!.set(key, value);
  }
}
