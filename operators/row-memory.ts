import { z } from 'zod';
import { randomAt } from './random-at.ts';
import { plainRowSchema, rowFromJson, rowToJson } from './row.ts';
import type { PlainRow, Row } from './row.ts';
import type { Json } from './types.ts';

interface MemoryState {
  readonly seen: number;
  readonly drawn: number;
  readonly rows: readonly PlainRow[];
}

export const memorySchema: z.ZodType<MemoryState> = z.object({
  seen: z.number().int(),
  drawn: z.number().int(),
  rows: z.array(plainRowSchema),
});

/**
 * Remembers rows: of all that were ever shown to it, each has the same chance to be among them (reservoir sampling,
 * algorithm R, Vitter 1985). What it keeps, and what it draws, depend on its seed, on the rows and on their order alone.
 */
export class RowMemory {
  readonly #seed: number;
  readonly #rows: Row[] = [];
  #seen = 0;
  /** Numbers that were drawn of the sequence. */
  #drawn = 0;

  constructor(seed: number, { seen, drawn, rows }: MemoryState = { seen: 0, drawn: 0, rows: [] }) {
    this.#seed = seed;
    this.#seen = seen;
    this.#drawn = drawn;
    this.#rows.push(...rows.map(rowFromJson));
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Keeps the row, or does not, so that no more than `most` are kept. */
  show(row: Row, most: number): void {
    this.#seen += 1;
    this.#rows.length = Math.min(this.#rows.length, most);
    if (this.#rows.length < most) {
      this.#rows.push(row);
      return;
    }
    const slot = Math.floor(this.#random() * this.#seen);
    if (slot < most) this.#rows[slot] = row;
  }

  /** So many rows at random: different ones, unless there are too few. */
  draw(count: number): Row[] {
    const drawn = new Set<number>();
    const rows: Row[] = [];
    while (rows.length < count && this.#rows.length > 0) {
      const slot = Math.floor(this.#random() * this.#rows.length);
      const row = this.#rows[slot];
      if (!row || (drawn.has(slot) && drawn.size < this.#rows.length)) continue;
      drawn.add(slot);
      rows.push(row);
    }
    return rows;
  }

  snapshot(): Json {
    return { seen: this.#seen, drawn: this.#drawn, rows: this.#rows.map(rowToJson) };
  }

  #random(): number {
    return randomAt(this.#seed, this.#drawn++);
  }
}
