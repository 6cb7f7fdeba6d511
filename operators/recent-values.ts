/** Where a value stands among those before it. */
export interface Standing {
  /** Share of them that are smaller, in percent. */
  readonly percentile: number;
  /** Standard deviations above their mean; 0 where they are all the same. */
  readonly sigma: number;
}

/** Before there are so many, a rank says nothing. */
const LEAST = 100;

/** The last values of a series, to rank the next one by. What it says depends on the values alone, to the bit. */
export class RecentValues {
  readonly #most: number;
  /** From the oldest to the newest, in which order they are summed. */
  readonly #values: number[];

  /** `values` are as `snapshot` gave them; of more than are kept, the last. */
  constructor(most: number, values: readonly number[] = []) {
    this.#most = most;
    this.#values = values.slice(-most);
  }

  /** Null where there are too few of them yet. */
  standingOf(value: number): Standing | null {
    const count = this.#values.length;
    if (count < Math.min(LEAST, this.#most)) return null;
    const mean = this.#values.reduce((sum, each) => sum + each, 0) / count;
    let smaller = 0;
    let squares = 0;
    for (const each of this.#values) {
      if (each < value) smaller += 1;
      squares += (each - mean) ** 2;
    }
    const deviation = Math.sqrt(squares / count);
    return { percentile: (100 * smaller) / count, sigma: deviation > 0 ? (value - mean) / deviation : 0 };
  }

  add(value: number): void {
    this.#values.push(value);
    if (this.#values.length > this.#most) this.#values.shift();
  }

  snapshot(): readonly number[] {
    return [...this.#values];
  }
}
