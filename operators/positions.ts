import type { Reading } from './flow.ts';
import type { Position } from './ports.ts';
import { keyOf } from './standing.ts';

/** The next offsets of the partitions that a source reads, in the order of their turns. */
export class Positions {
  readonly #read = new Map<string, Position>();
  readonly #others = new Map<string, Position>();
  readonly #from = new Map<string, number>();

  get all(): readonly Position[] {
    return [...this.#read.values()];
  }

  get readings(): readonly Reading[] {
    return this.all.map((position) => ({ ...position, from: this.#from.get(keyOf(position)) ?? position.offset }));
  }

  /** Also those of partitions that are not read any more. */
  get known(): ReadonlyMap<string, Position> {
    return new Map([...this.#others, ...this.#read]);
  }

  get isEmpty(): boolean {
    return this.#read.size === 0;
  }

  /** Takes in partitions, or goes on with them at another offset. */
  takeUp(positions: readonly Position[]): void {
    for (const position of positions) {
      this.#from.set(keyOf(position), position.offset);
      this.moveTo(position);
    }
  }

  moveTo(position: Position, key: string = keyOf(position)): void {
    this.#read.set(key, position);
  }

  leaveOff(positions: readonly Position[]): void {
    for (const position of positions) {
      this.#others.set(keyOf(position), position);
      this.#read.delete(keyOf(position));
    }
  }
}
