import type { Position } from './ports.ts';
import { keyOf } from './standing.ts';

/** The next offsets of the partitions that a source reads, in the order of their turns. */
export class Positions {
  readonly #read = new Map<string, Position>();
  readonly #others = new Map<string, Position>();

  get all(): readonly Position[] {
    return [...this.#read.values()];
  }

  /** Also those of partitions that are not read any more. */
  get known(): ReadonlyMap<string, Position> {
    return new Map([...this.#others, ...this.#read]);
  }

  get isEmpty(): boolean {
    return this.#read.size === 0;
  }

  /** Takes in the partition, where it is new. */
  moveTo(position: Position, key: string = keyOf(position)): void {
    this.#read.set(key, position);
  }

  leaveOff(positions: readonly Position[]): void {
    for (const position of positions) {
      this.#others.set(keyOf(position), position);
      this.#read.delete(keyOf(position));
    }
  }

  /** All of them, beginning behind one. */
  inTurn(last: string | null): readonly Position[] {
    const all = this.all;
    const index = all.findIndex((position) => keyOf(position) === last);
    return [...all.slice(index + 1), ...all.slice(0, index + 1)];
  }
}
