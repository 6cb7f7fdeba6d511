/**
 * The bytes that a pipeline has in flight. Who emits an element takes its bytes, who finishes or absorbs it gives them
 * back, and only `ingest` waits. Taking never blocks, so the window may be overdrawn by one element (or one batch), and
 * no window, however small, can deadlock. Work that is done only because there is nothing else to do is taken and given
 * as spare: it fills the window like any other, but whoever asks whether there is work to do does not see it.
 */
export class Window {
  readonly limitBytes: number;
  #inFlightBytes = 0;
  #spareBytes = 0;
  #takenBytes = 0;
  #waiting: (() => void)[] = [];

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** All bytes in flight but the spare ones. */
  get workBytes(): number {
    return this.#inFlightBytes - this.#spareBytes;
  }

  /** All bytes that were ever taken, but the spare ones: when it stands still, nothing has come in. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  get isOpen(): boolean {
    return this.#inFlightBytes < this.limitBytes;
  }

  take(bytes: number, isSpare = false): void {
    this.#inFlightBytes += bytes;
    if (isSpare) this.#spareBytes += bytes;
    else this.#takenBytes += bytes;
  }

  give(bytes: number, isSpare = false): void {
    this.#inFlightBytes -= bytes;
    if (isSpare) this.#spareBytes -= bytes;
    if (!this.isOpen) return;
    const woken = this.#waiting;
    this.#waiting = [];
    for (const wake of woken) wake();
  }

  /** Resolves as soon as bytes are left; at once when they are. */
  async opened(): Promise<void> {
    while (!this.isOpen) await this.#given();
  }

  /** Resolves as soon as nothing is in flight; at once when that is so. */
  async drained(): Promise<void> {
    while (this.#inFlightBytes > 0) await this.#given();
  }

  #given(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
