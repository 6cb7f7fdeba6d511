import type { Writable } from 'node:stream';
import type { Clock } from '../../operators/ports.ts';
import { eventLine } from './event-lines.ts';
import type { JobEvent } from '../job/events.ts';
import { JobStatus } from './job-status.ts';
import { LiveLine } from './live-line.ts';
import { styleFor } from './style.ts';

export interface Reporter {
  event(event: JobEvent): void;
  warn(message: string): void;
  /** To be called when the last event has been reported; may be called twice. */
  close(): void;
}

export interface ReporterOptions {
  /** One live line on a terminal, lines now and then, or every event as JSON. */
  readonly mode: 'tty' | 'plain' | 'json';
  readonly out: Writable;
  /** Where warnings go. */
  readonly err: Writable;
  readonly clock?: Clock;
}

/** Without a terminal, so many first steps get a line each, and then one in a while. */
const FIRST_STEPS = 3;
const STEP_EVERY_MS = 10_000;
/** The ages on the live line grow while nothing happens. */
const TICK_MS = 1000;

/** Tells people, or programs, what a job does. Nothing that it is told of is kept, so it may run for years. */
export function createReporter(options: ReporterOptions): Reporter {
  const { out, err, clock = { nowMs: () => performance.now() } } = options;
  switch (options.mode) {
    case 'json':
      return {
        event: (event) => void out.write(`${JSON.stringify(event)}\n`),
        warn: (message) => void err.write(warning(message)),
        close: () => {},
      };
    case 'plain':
      return plainReporter(out, err, clock);
    case 'tty':
      return new LiveReporter(out, err, clock);
  }
}

function plainReporter(out: Writable, err: Writable, clock: Clock): Reporter {
  const status = new JobStatus();
  const style = styleFor(out);
  let steps = 0;
  let saidAtMs = 0;
  const isDue = (event: JobEvent): boolean => {
    if (event.event === 'lag' || event.event === 'counts') return false;
    if (event.event !== 'step' || event.skipped) return true;
    steps += 1;
    if (steps > FIRST_STEPS && clock.nowMs() - saidAtMs < STEP_EVERY_MS) return false;
    saidAtMs = clock.nowMs();
    return true;
  };
  return {
    event: (event) => {
      status.take(event, clock.nowMs());
      if (isDue(event)) out.write(`${eventLine(event, status.windowBitsPerByte, style)}\n`);
    },
    warn: (message) => void err.write(warning(message)),
    close: () => {},
  };
}

/** Keeps the status on the last line, and writes above it what else is worth to be seen. */
class LiveReporter implements Reporter {
  readonly #status = new JobStatus();
  readonly #line: LiveLine;
  readonly #err: Writable;
  readonly #out: Writable;
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(out: Writable, err: Writable, clock: Clock) {
    this.#line = new LiveLine(out, clock);
    this.#out = out;
    this.#err = err;
    this.#clock = clock;
  }

  event(event: JobEvent): void {
    if (this.#isClosed) return;
    this.#status.take(event, this.#clock.nowMs());
    // A summary says all that the live line says.
    if (event.event === 'summary') this.#line.clear();
    if (isShownAbove(event)) {
      const line = eventLine(event, this.#status.windowBitsPerByte, styleFor(this.#out));
      this.#line.above(`${line}\n`);
    }
    if (event.event !== 'summary') this.#redraw();
  }

  warn(message: string): void {
    this.#line.above(styleFor(this.#err).warn(message), (text) => void this.#err.write(`${text}\n`));
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#isClosed = true;
    this.#line.close();
  }

  #redraw(): void {
    this.#timer ??= setInterval(() => this.#redraw(), TICK_MS).unref();
    this.#line.show((columns) => this.#status.line(this.#clock.nowMs(), columns));
  }
}

/** What the live line says already needs no line of its own. */
function isShownAbove(event: JobEvent): boolean {
  switch (event.event) {
    case 'step':
      return event.skipped;
    case 'lag':
    case 'counts':
    case 'freshness':
      return false;
    case 'checkpoint':
      return event.reason === 'savepoint' || event.reason === 'stop';
    case 'deployment':
      return event.outcome !== 'started';
    case 'plan':
    case 'ready':
    case 'listening':
    case 'generation':
    case 'weights':
    case 'promotion':
    case 'evaluation':
    case 'deadletter':
    case 'outage':
    case 'summary':
      return true;
  }
}

function warning(message: string): string {
  return `millrace: ${message}\n`;
}
