import { MillraceError } from './errors.ts';
import type { LogReader, Position, Topic } from './ports.ts';
import type { Positions } from './positions.ts';
import type { Run } from './standing.ts';
import type { LogRecord } from './types.ts';

/** Records that are fetched, written to the ledger and played as one run. */
const RUN_RECORDS = 512;
const RUN_BYTES = 256 * 1024;
/** Of a mix: small enough for a batch to have some of each topic. */
const MIXED_RUN_BYTES = 8 * 1024;

/** Reads the partitions of a source run by run, from where its positions are. */
export class RunReader {
  readonly #topics: readonly Topic[];
  readonly #positions: Positions;
  readonly #limits: { readonly maxRecords: number; readonly maxBytes: number };
  #reader: LogReader | null = null;

  constructor(topics: readonly Topic[], positions: Positions, isMixed: boolean) {
    this.#topics = topics;
    this.#positions = positions;
    this.#limits = { maxRecords: RUN_RECORDS, maxBytes: isMixed ? MIXED_RUN_BYTES : RUN_BYTES };
  }

  get isOpen(): boolean {
    return this.#reader !== null;
  }

  /** Goes on from the positions as they are now. */
  async open(): Promise<void> {
    await this.close();
    this.#reader = this.#topics[0]?.log.reader(this.#positions.all) ?? null;
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  /** Records of the first partition that has any; waits for none. */
  async next(partitions: readonly Position[], signal: AbortSignal): Promise<readonly LogRecord[]> {
    const reader = this.#reader;
    for (const partition of partitions) {
      const records = await reader?.poll({ ...this.#limits, partition, waitMs: 0, signal });
      if (records && records.length > 0) return records;
    }
    return [];
  }

  /** Records of whichever partition gets some first. */
  async arriving(waitMs: number, signal: AbortSignal): Promise<readonly LogRecord[]> {
    return (await this.#reader?.poll({ ...this.#limits, waitMs, signal })) ?? [];
  }

  /**
   * Records of a run that is played again, behind those that were. Others may have read what lies between it and the run
   * before. Rejects with `offset-out-of-range` when the log does not have them.
   */
  async again(run: Run, played: number): Promise<readonly LogRecord[]> {
    const poll = async (): Promise<readonly LogRecord[]> =>
      (await this.#reader?.poll({ partition: run, maxRecords: run.count - played, waitMs: 0 })) ?? [];
    let records = await poll();
    if (played === 0 && (records[0]?.offset ?? Infinity) < run.from) {
      this.#positions.takeUp([{ topic: run.topic, partition: run.partition, offset: run.from }]);
      await this.open();
      records = await poll();
    }
    const offset = records[0]?.offset ?? -1;
    // The run began at a record; after that a log may leave out offsets, as Kafka does for the marks of transactions.
    if (played === 0 ? offset === run.from : offset >= run.from + played) return records;
    throw new MillraceError(
      'offset-out-of-range',
      `The ledger says that ${run.topic}/${run.partition} was read from offset ${run.from} on, but after ` +
        `${played} of its records the log gives ${records[0]?.offset ?? 'nothing'}. Was the topic deleted or cut by retention?`,
    );
  }
}
