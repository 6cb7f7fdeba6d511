import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../operators/errors.ts';
import type { TopicFormat } from '../../operators/formats.ts';
import type { TopicLog } from '../../operators/ports.ts';
import type { NewRecord } from '../../operators/types.ts';
import { size } from '../terminal/format.ts';
import { encodeInput } from './encode.ts';
import type { Input } from './inputs.ts';
import { Splitter, valuesOf } from './split.ts';
import type { SplitBy } from './split.ts';

/** Key and value of a record together; the log is opened with this limit. */
export const MAX_RECORD_BYTES: number = 16 * 1024 * 1024;
/** Beyond a broker's usual megabyte a batch would be several, in a transaction. */
const BATCH_BYTES = 512 * 1024;
const BATCH_RECORDS = 1000;
/** A live input that pauses for so long has its records produced at once, though the batch is not full. */
const PAUSE_MS = 20;
/** Faults of an input, which the message then names. */
const UNFIT: ReadonlySet<string> = new Set(['record-too-large', 'value-unfit']);

export interface ProduceOptions {
  readonly log: TopicLog;
  readonly topic: string;
  readonly format: TopicFormat;
  readonly inputs: readonly Input[];
  /** A file is one record, and live input is split by lines, when absent. */
  readonly split?: SplitBy;
  readonly key?: string;
  readonly signal: AbortSignal;
  readonly onProgress: (produced: Produced) => void;
}

export interface Produced {
  /** Records that the log has acknowledged, and the bytes of their values. */
  readonly records: number;
  readonly bytes: number;
  readonly emptySkipped: number;
  /** Inputs that were read to their end. */
  readonly inputs: number;
}

/**
 * Produces the inputs' records, in order, in batches of about half a megabyte, and reports progress after each. Ends early,
 * with what the log has acknowledged by then, when the signal aborts.
 *
 * Errors: `record-too-large`, for files that are to be one record before anything is produced, `value-unfit` for what the
 * topic's format can't hold, and the log's own.
 */
export async function produceInputs(options: ProduceOptions): Promise<Produced> {
  const { inputs, key, signal } = options;
  const maxBytes = MAX_RECORD_BYTES - Buffer.byteLength(key ?? '');
  for (const input of inputs) {
    if (splitOf(input, options) === 'file' && input.bytes !== null && input.bytes > maxBytes) {
      throw new MillraceError(
        'record-too-large',
        `${input.name} (${size(input.bytes)}) is larger than a record may be (${size(maxBytes)}). Nothing was ` +
          'produced. Use --split paragraph or --split line.',
      );
    }
  }
  const batches = new Batches(options);
  try {
    for (const input of inputs) {
      await produceInput(input, splitOf(input, options), maxBytes, batches, signal);
      batches.inputDone();
    }
    await batches.flush();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await batches.settled();
  }
  return batches.produced;
}

function splitOf(input: Input, { split }: ProduceOptions): SplitBy {
  return split ?? (input.bytes === null ? 'line' : 'file');
}

async function produceInput(
  input: Input,
  by: SplitBy,
  maxBytes: number,
  batches: Batches,
  signal: AbortSignal,
): Promise<void> {
  const splitter = new Splitter(by, maxBytes);
  const stream = input.read(signal);
  const chunks: AsyncIterable<Uint8Array> = stream;
  try {
    for await (const chunk of input.bytes === null ? withPauses(chunks) : chunks) {
      if (chunk === null) await batches.flush();
      else await batches.addAll(valuesOf(splitter.push(chunk), by));
    }
    await batches.addAll(valuesOf(splitter.end(), by));
  } catch (error) {
    if (!(error instanceof MillraceError) || !UNFIT.has(error.code)) throw error;
    // What came before it in the same stream is whole, and stays.
    await batches.flush();
    throw new MillraceError(error.code, `${input.name}: ${error.message}`, { cause: error.cause });
  } finally {
    stream.destroy();
  }
}

/** Passes chunks on, and a null where nothing has come for a while. */
async function* withPauses(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | null> {
  const iterator = chunks[Symbol.asyncIterator]();
  let next = iterator.next();
  // Who stops to read leaves a promise behind whose rejection is no news.
  next.catch(() => undefined);
  for (let isPaused = true; ;) {
    const result: IteratorResult<Uint8Array> | null = await (isPaused ? next : Promise.race([next, pause()]));
    isPaused = result === null;
    if (result === null) {
      yield null;
      continue;
    }
    if (result.done) return;
    yield result.value;
    next = iterator.next();
    next.catch(() => undefined);
  }
}

function pause(): Promise<null> {
  return sleep(PAUSE_MS, null, { ref: false });
}

/** Collects records and produces them together. */
class Batches {
  readonly #options: ProduceOptions;
  #records: NewRecord[] = [];
  #bytes = 0;
  #underWay: Promise<void> = Promise.resolve();
  produced: Produced = { records: 0, bytes: 0, emptySkipped: 0, inputs: 0 };

  constructor(options: ProduceOptions) {
    this.#options = options;
  }

  async addAll(pieces: Iterable<Uint8Array>): Promise<void> {
    for (const piece of pieces) {
      if (piece.length === 0) {
        this.produced = { ...this.produced, emptySkipped: this.produced.emptySkipped + 1 };
        continue;
      }
      // Waits only where it must: most pieces are short, and a wait costs more than they do.
      const encoded = encodeInput(piece, this.#options.format);
      const value = encoded instanceof Promise ? await encoded : encoded;
      if (this.#bytes + value.length > BATCH_BYTES || this.#records.length === BATCH_RECORDS) await this.#send();
      this.#records.push({ key: this.#options.key ?? null, value });
      this.#bytes += value.length;
    }
  }

  /** Resolves when all that was added has been acknowledged. */
  async flush(): Promise<void> {
    await this.#send();
    await this.#underWay;
  }

  /** Resolves when nothing is under way any more, whatever became of it. */
  async settled(): Promise<void> {
    await this.#underWay.catch(() => undefined);
  }

  /** Sends what was collected once the batch before it was acknowledged; meanwhile the next can be collected. */
  async #send(): Promise<void> {
    await this.#underWay;
    this.#options.signal.throwIfAborted();
    if (this.#records.length === 0) return;
    this.#underWay = this.#produce(this.#records, this.#bytes);
    // Whoever sends next, or flushes, is told.
    this.#underWay.catch(() => undefined);
    this.#records = [];
    this.#bytes = 0;
  }

  async #produce(records: readonly NewRecord[], bytes: number): Promise<void> {
    const { log, topic, onProgress } = this.#options;
    await log.produce(topic, records);
    const before = this.produced;
    this.produced = { ...before, records: before.records + records.length, bytes: before.bytes + bytes };
    onProgress(this.produced);
  }

  inputDone(): void {
    this.produced = { ...this.produced, inputs: this.produced.inputs + 1 };
  }
}
