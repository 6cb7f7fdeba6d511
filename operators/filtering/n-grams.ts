/** Runs of n words of a text, and how much of its characters are in those that repeat. Blanks count nowhere. */
export class NGrams {
  /** Of each word a number, the same for the same word. */
  readonly #ids: Int32Array;
  readonly #lengths: readonly number[];
  readonly #characters: number;
  /** Open addressing: places of first occurrences, plus one. */
  readonly #table: Int32Array;
  /** Something about each place, used anew for each n. */
  readonly #counts: Int32Array;

  constructor(words: readonly string[]) {
    const known = new Map<string, number>();
    this.#ids = Int32Array.from(words, (word) => {
      const id = known.get(word) ?? known.size;
      if (id === known.size) known.set(word, id);
      return id;
    });
    this.#lengths = words.map(({ length }) => length);
    this.#characters = this.#lengths.reduce((sum, length) => sum + length, 0);
    this.#counts = new Int32Array(words.length);
    this.#table = new Int32Array(2 ** Math.ceil(Math.log2(2 * words.length + 2)));
  }

  /**
   * The share of the characters that the most frequent n-gram covers: of several, the one that covers most. 0 where none
   * occurs twice.
   */
  topShare(n: number): number {
    const counts = this.#counts.fill(1);
    let most = 1;
    this.#eachRepeated(n, (_start, first) => {
      const count = (counts[first] ?? 1) + 1;
      counts[first] = count;
      most = Math.max(most, count);
    });
    if (most === 1) return 0;
    let covered = 0;
    for (let first = 0; first < counts.length; first++) {
      // Where it overlaps itself it covers less.
      if (counts[first] !== most || most * this.#charactersAt(first, n) <= covered) continue;
      covered = Math.max(
        covered,
        this.#covered(n, (start) => this.#isEqual(start, first, n)),
      );
    }
    return covered / this.#characters;
  }

  /** The share of the characters that are in an n-gram which has occurred before; each counts once. Falls as n rises. */
  repeatedShare(n: number): number {
    const isRepeated = this.#counts.fill(0);
    let some = false;
    this.#eachRepeated(n, (start) => {
      isRepeated[start] = 1;
      some = true;
    });
    return some ? this.#covered(n, (start) => isRepeated[start] === 1) / this.#characters : 0;
  }

  /** Calls with each n-gram's place that has occurred before, and with the place of its first occurrence. */
  #eachRepeated(n: number, found: (start: number, first: number) => void): void {
    const table = this.#table.fill(0);
    const mask = table.length - 1;
    for (let start = 0; start + n <= this.#ids.length; start++) {
      let slot = this.#hash(start, n) & mask;
      let first = (table[slot] ?? 0) - 1;
      while (first >= 0 && !this.#isEqual(start, first, n)) {
        slot = (slot + 1) & mask;
        first = (table[slot] ?? 0) - 1;
      }
      if (first >= 0) found(start, first);
      else table[slot] = start + 1;
    }
  }

  /** The characters that n-grams cover which begin at places for which something holds. */
  #covered(n: number, holds: (start: number) => boolean): number {
    let covered = 0;
    let end = 0;
    for (let start = 0; start + n <= this.#ids.length; start++) {
      if (!holds(start)) continue;
      const from = Math.max(start, end);
      covered += this.#charactersAt(from, start + n - from);
      end = start + n;
    }
    return covered;
  }

  #charactersAt(start: number, words: number): number {
    let characters = 0;
    for (let at = start; at < start + words; at++) characters += this.#lengths[at] ?? 0;
    return characters;
  }

  #hash(start: number, n: number): number {
    let hash = 0;
    for (let at = start; at < start + n; at++) hash = Math.imul(hash ^ (this.#ids[at] ?? 0), 0x9e3779b1);
    return hash ^ (hash >>> 15);
  }

  #isEqual(one: number, other: number, n: number): boolean {
    for (let at = 0; at < n; at++) if (this.#ids[one + at] !== this.#ids[other + at]) return false;
    return true;
  }
}
