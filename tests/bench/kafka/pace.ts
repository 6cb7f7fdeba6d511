/** What one turn got through, and what it took. */
export interface Pace {
  /** Records, or tokens. */
  readonly items: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Time that this process, with all its threads, was busy: what others take of the machine is not in it. */
  readonly coreSeconds: number;
}

/**
 * Counts what comes until it is enough. The clock starts with the first that comes, which is not counted: connecting,
 * joining a group and looking for offsets are no part of reading. `start` starts it before.
 */
export class Stopwatch {
  readonly #enough: number;
  #start: Moment | null = null;
  #end: Moment | null = null;
  #items = 0;
  #bytes = 0;

  constructor(enough: number) {
    this.#enough = enough;
  }

  start(): void {
    this.#start = now();
  }

  /** Returns whether that was enough. */
  count(items: number, bytes: number): boolean {
    if (!this.#start) this.start();
    else if (!this.#end) this.#add(items, bytes);
    return this.#end !== null;
  }

  get pace(): Pace {
    const [start, end] = [this.#start, this.#end];
    if (!start || !end) throw new Error(`Only ${this.#items} of ${this.#enough} came.`);
    return {
      items: this.#items,
      bytes: this.#bytes,
      seconds: (end.ms - start.ms) / 1000,
      coreSeconds: (end.busyMicros - start.busyMicros) / 1e6,
    };
  }

  #add(items: number, bytes: number): void {
    this.#items += items;
    this.#bytes += bytes;
    if (this.#items >= this.#enough) this.#end = now();
  }
}

interface Moment {
  readonly ms: number;
  readonly busyMicros: number;
}

function now(): Moment {
  const { user, system } = process.cpuUsage();
  return { ms: performance.now(), busyMicros: user + system };
}
