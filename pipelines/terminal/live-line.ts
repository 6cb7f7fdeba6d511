import type { Writable } from 'node:stream';
import type { Clock } from '../../operators/ports.ts';
import { cut } from './format.ts';
import { isTerminal } from './style.ts';

const REDRAW_EVERY_MS = 100;
const DEFAULT_COLUMNS = 80;
/** Erases the line that the cursor is on, and goes to its begin. */
const ERASE = '\r\u001b[2K';

/**
 * One line at the bottom of a terminal that is redrawn in place, at most ten times a second; other text goes above it.
 * It is cut to the terminal's width, since a line that wraps can't be erased.
 */
export class LiveLine {
  readonly #terminal: Writable;
  readonly #clock: Clock;
  #render: ((columns: number) => string) | null = null;
  #isDrawn = false;
  #drawnAtMs = -Infinity;
  #timer: NodeJS.Timeout | null = null;

  constructor(terminal: Writable, clock: Clock) {
    this.#terminal = terminal;
    this.#clock = clock;
  }

  /** Shows what `render` gives for a width, now or as soon as a redraw is due. */
  show(render: (columns: number) => string): void {
    this.#render = render;
    if (this.#timer) return;
    const dueInMs = this.#drawnAtMs + REDRAW_EVERY_MS - this.#clock.nowMs();
    if (dueInMs <= 0) this.#draw();
    else this.#timer = setTimeout(() => this.#draw(), dueInMs).unref();
  }

  /** Writes whole lines above, through `write` where they go to another stream than the line. */
  above(text: string, write: (text: string) => void = (lines) => this.#terminal.write(lines)): void {
    this.#erase();
    write(text);
    if (this.#render) this.#draw();
  }

  /** Leaves the line as it stands, with its newest figures, and ends. */
  close(): void {
    if (this.#render) this.#draw();
    if (this.#isDrawn) this.#terminal.write('\n');
    this.#isDrawn = false;
    this.#render = null;
  }

  /** Takes the line away and ends. */
  clear(): void {
    this.#cancelTimer();
    this.#erase();
    this.#render = null;
  }

  #draw(): void {
    this.#cancelTimer();
    // The last column stays free: some terminals wrap as soon as it is written.
    const columns = ((isTerminal(this.#terminal) && this.#terminal.columns) || DEFAULT_COLUMNS) - 1;
    this.#terminal.write(ERASE + cut(this.#render?.(columns) ?? '', columns));
    this.#isDrawn = true;
    this.#drawnAtMs = this.#clock.nowMs();
  }

  #erase(): void {
    if (this.#isDrawn) this.#terminal.write(ERASE);
    this.#isDrawn = false;
  }

  #cancelTimer(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
