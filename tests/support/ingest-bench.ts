import type { Observable, Subscription } from 'rxjs';
import type { Barrier, Element, Source } from '../../operators/flow.ts';
import { ingest } from '../../operators/ingest.ts';
import type { IngestOptions } from '../../operators/ingest-options.ts';
import type { Topic } from '../../operators/ports.ts';
import type { CutReason, LogRecord } from '../../operators/types.ts';
import { asStored } from './elements.ts';
import { MemoryLog } from './memory-log.ts';
import { settle } from './settle.ts';

/** Texts of two partitions. */
export const TWO: readonly (readonly string[])[] = [
  ['a0', 'a1', 'a2'],
  ['b0', 'b1'],
];

/** A log whose readers are counted, with the topic `text`. */
export class WatchedLog extends MemoryLog {
  openReaders = 0;
  /** Runs before each poll. */
  beforePoll: () => Promise<void> = async () => {};

  static async with(texts: readonly (readonly string[])[]): Promise<WatchedLog> {
    const log = new WatchedLog();
    await log.createTopic('text', { partitions: texts.length });
    await log.add(texts);
    return log;
  }

  /** Texts by partition. */
  async add(texts: readonly (readonly string[])[]): Promise<void> {
    await this.produce(
      'text',
      texts.flatMap((all, partition) => all.map((value) => ({ value, partition, timestampMs: 1 }))),
    );
  }

  override reader(...args: Parameters<MemoryLog['reader']>): ReturnType<MemoryLog['reader']> {
    const reader = super.reader(...args);
    const [poll, close] = [reader.poll.bind(reader), reader.close.bind(reader)];
    this.openReaders += 1;
    reader.poll = async (options) => {
      await this.beforePoll();
      return poll(options);
    };
    reader.close = async () => {
      this.openReaders -= 1;
      await close();
    };
    return reader;
  }
}

/** `ingest` at work, with all that came out of it as short words: records are their text. */
export class IngestBench {
  readonly seen: string[] = [];
  readonly barriers: Barrier[] = [];
  readonly errors: unknown[] = [];
  /** That the restore marks said. */
  readonly timelines: number[] = [];
  readonly subscription: Subscription;
  /** Gives bytes back at once, as an operator that absorbs everything. */
  isAbsorbing = true;
  #source: Source | null = null;

  constructor(topics: Observable<Topic>, options: IngestOptions = {}, react: (bench: IngestBench) => void = () => {}) {
    this.subscription = topics.pipe(ingest(options)).subscribe({
      next: (element) => {
        this.#source = element.source;
        this.seen.push(wordOf(element));
        if (element.kind === 'restore') this.timelines.push(element.timeline);
        if (element.kind === 'barrier') this.barriers.push(element);
        if (element.kind === 'item' && this.isAbsorbing) element.source.window.give(element.bytes);
        react(this);
      },
      error: (error: unknown) => this.errors.push(error),
    });
  }

  get source(): Source {
    if (!this.#source) throw new Error('Nothing has come yet.');
    return this.#source;
  }

  async cut(reason: CutReason = 'timer'): Promise<Barrier> {
    this.source.requestCut(reason);
    await settle(3);
    return this.lastBarrier;
  }

  get lastBarrier(): Barrier {
    const barrier = this.barriers.at(-1);
    if (!barrier) throw new Error('No barrier has come.');
    return barrier;
  }

  async until(count: number): Promise<void> {
    while (this.seen.length < count && this.errors.length === 0) await settle();
  }
}

export function wordOf(element: Element<LogRecord>): string {
  if (element.kind === 'item') return Buffer.from(element.value.value ?? []).toString();
  return element.kind === 'tick' ? `tick ${element.atMs}${element.isSpare ? ' spare' : ''}` : element.kind;
}

export function restoreFrom(barrier: Barrier): Pick<IngestOptions, 'restore'> {
  return { restore: { states: asStored(barrier.basket) } };
}
