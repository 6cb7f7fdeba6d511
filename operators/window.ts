/**
 * The bytes that a pipeline has in flight. Who emits an element takes its bytes, who finishes or absorbs it gives them
 * back, and only `ingest` waits. Taking never blocks, so the window may be overdrawn by one element (or one batch), and
 * no window, however small, can deadlock.
 */
export class Window {
  readonly limitBytes: number;
  #inFlightBytes = 0;
  #takenBytes = 0;
  #waiting: (() => void)[] = [];

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** All bytes that were ever taken: when it stands still, nothing has come in. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  get isOpen(): boolean {
    return this.#inFlightBytes < this.limitBytes;
  }

  take(bytes: number): void {
    this.#inFlightBytes += bytes;
    this.#takenBytes += bytes;
  }

  give(bytes: number): void {
    this.#inFlightBytes -= bytes;
    if (!this.isOpen) return;
    const woken = this.#waiting;
    this.#waiting = [];
    for (const wake of woken) wake();
  }

  /** Resolves as soon as bytes are left; at once when they are. */
  async opened(): Promise<void> {
    while (!this.isOpen) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
