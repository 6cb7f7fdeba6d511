import { Observable, switchMap, toArray } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import { z } from 'zod';
import { MillraceError } from './errors.ts';
import type { Barrier, Element, Source, Uid } from './flow.ts';
import type { Clock, Ledger, LedgerEntry, LogReader, Position, Topic } from './ports.ts';
import { readState } from './stateful.ts';
import type { CutReason, LogRecord, Snapshot } from './types.ts';
import { byteSizeSchema, durationSchema, toBytes, toMs } from './units.ts';
import type { ByteSize, Duration } from './units.ts';
import { Window } from './window.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface IngestOptions {
  readonly uid?: Uid;
  /** Bytes that may be in flight between here and the end of the pipeline. */
  readonly window?: ByteSize;
  /** The cut to go on from; a job that starts anew has none. */
  readonly restore?: { readonly states: ReadonlyMap<Uid, Snapshot> } | null;
  /** Where partitions that the cut does not know are read from. */
  readonly from?: 'earliest' | 'latest';
  /** This job's own ledger. Makes the order across partitions, and the ticks, repeatable; a restart may differ without. */
  readonly ledger?: Ledger;
  /** How often a tick is let down, for operators that wait (`maxWait`). None by default. */
  readonly tickEvery?: Duration;
  /** Group under which offsets are reported to the log after each cut. Recovery never reads them. */
  readonly group?: string;
  readonly clock?: Clock;
}

/** Records that are fetched, written to the ledger and played as one run. */
const RUN_RECORDS = 512;
const RUN_BYTES = 256 * 1024;
/** How long one poll waits at most; a wanted cut interrupts it. */
const POLL_MS = 1000;

/** Periodic requests are content with any cut; a savepoint and a final cut are each waited for by somebody. */
const PERIODIC: readonly CutReason[] = ['steps', 'timer'];
const CUT_ORDER: readonly CutReason[] = ['savepoint', 'final', ...PERIODIC];

const stateSchema = z.object({
  positions: z.array(z.object({ topic: z.string(), partition: z.number().int(), offset: z.number().int() })),
  /** Ledger position of the entry that is being played, and how many of its records have been. */
  ledger: z.number().int(),
  played: z.number().int(),
  /** Partition that the last run came from; the next one's turn is next. */
  lastRun: z.string().nullable(),
});

/**
 * Emits the records of the topics that it is given: a restore mark, then records with barriers and ticks among them.
 *
 * Order: by offset within a partition; partitions take turns, and the order that came about is in the ledger before the
 * first record that it concerns is emitted. After a restart the ledger is played again, then the stream is live.
 * Backpressure: pulls nothing, and emits nothing, while the window is overdrawn. Errors: those of the log end the flow.
 * Completion: never; unsubscribing stops the reader. Snapshot: the next offset of every partition, the ledger's position.
 *
 * @example
 * log.topic('text').pipe(ingest({ window: '1MB', restore: await store.latest() }), decode())
 */
export function ingest(options: IngestOptions = {}): OperatorFunction<Topic, Element<LogRecord>> {
  return (topics) =>
    topics.pipe(
      toArray(),
      switchMap(
        (all) =>
          // An asynchronous loop that pulls cannot be had from RxJS's creators without losing the way to wake it up.
          new Observable<Element<LogRecord>>((subscriber) => {
            const source = new RecordSource(all, options, subscriber);
            source.run().catch((error: unknown) => subscriber.error(error));
            return () => source.stop();
          }),
      ),
    );
}

class RecordSource implements Source {
  readonly window: Window;
  readonly #topics: readonly Topic[];
  readonly #options: IngestOptions;
  readonly #uid: Uid;
  readonly #subscriber: Subscriber<Element<LogRecord>>;
  readonly #positions = new Map<string, Position>();
  readonly #clock: Clock;
  readonly #stopped = new AbortController();
  readonly #wantedCuts = new Set<CutReason>();
  #wake: () => void = () => {};
  #ledgerPosition = 0;
  #played = 0;
  #lastRun: string | null = null;

  constructor(topics: readonly Topic[], options: IngestOptions, subscriber: Subscriber<Element<LogRecord>>) {
    this.window = new Window(toBytes(options.window ?? '1MB'));
    this.#topics = topics;
    this.#options = options;
    this.#uid = options.uid ?? 'ingest';
    this.#subscriber = subscriber;
    this.#clock = options.clock ?? { nowMs: () => Date.now() };
  }

  requestCut(reason: CutReason): void {
    this.#wantedCuts.add(reason);
    this.#wake();
  }

  async cutCommitted(barrier: Barrier): Promise<void> {
    const [topic] = this.#topics;
    const snapshot = barrier.basket.get(this.#uid);
    if (!this.#options.group || !topic || !snapshot) return;
    await topic.log.commit(this.#options.group, positionsIn(this.#uid, snapshot));
  }

  stop(): void {
    this.#stopped.abort();
    this.#wake();
  }

  async run(): Promise<void> {
    const [topic] = this.#topics;
    if (!topic) throw new MillraceError('topic-missing', 'ingest was given no topic to read.');
    const decided = await this.#findStart();
    this.#subscriber.next({ kind: 'restore', states: this.#options.restore?.states ?? new Map(), source: this });
    const reader = topic.log.reader([...this.#positions.values()]);
    try {
      await this.#replay(decided, reader);
      await this.#live(reader);
    } finally {
      await reader.close();
    }
  }

  get #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** Moves to the cut's positions, and returns what was decided after it. */
  async #findStart(): Promise<readonly LedgerEntry[]> {
    const snapshot = this.#options.restore?.states.get(this.#uid);
    const state = snapshot ? readState(this.#uid, () => stateSchema.parse(snapshot.state)) : null;
    for (const topic of this.#topics) {
      for (const { partition, start, end } of await topic.log.offsets(topic.name)) {
        const offset = this.#options.from === 'latest' ? end : start;
        this.#moveTo({ topic: topic.name, partition, offset });
      }
    }
    this.#ledgerPosition = state?.ledger ?? 0;
    this.#lastRun = state?.lastRun ?? null;
    const decided = (await this.#options.ledger?.read(this.#ledgerPosition)) ?? [];
    // Without the ledger that the cut was made with, its run is not gone on with: another one begins.
    if (state && decided.length > 0) this.#played = state.played;
    const known = [...firstRuns(decided), ...(state?.positions ?? [])];
    for (const position of known) if (this.#positions.has(keyOf(position))) this.#moveTo(position);
    return decided;
  }

  async #replay(decided: readonly LedgerEntry[], reader: LogReader): Promise<void> {
    for (const entry of decided) {
      if (this.#isStopped) return;
      await this.#play(entry, reader);
      this.#ledgerPosition += 1;
    }
  }

  async #live(reader: LogReader): Promise<void> {
    const tickMs = this.#options.tickEvery === undefined ? Infinity : toMs(this.#options.tickEvery);
    let nextTickMs = this.#clock.nowMs() + tickMs;
    while (!this.#isStopped) {
      await this.#letThrough();
      const waitMs = Math.max(0, Math.min(POLL_MS, nextTickMs - this.#clock.nowMs()));
      const records = await this.#nextRun(reader, waitMs);
      const [first] = records;
      if (this.#isStopped) return;
      if (first) {
        const run = { topic: first.topic, partition: first.partition, from: first.offset, count: records.length };
        await this.#decide({ kind: 'run', ...run }, records);
      } else if (this.#clock.nowMs() >= nextTickMs) {
        // Only a source that has nothing to give tells the time: behind a full window nobody waits for records.
        await this.#decide({ kind: 'tick', atMs: this.#clock.nowMs() });
        nextTickMs = this.#clock.nowMs() + tickMs;
      }
    }
  }

  /**
   * Records of the partition whose turn it is, or of the next one that has any. So the order of what is already in the
   * log depends on nothing but the log; only what arrives while this waits is ordered by chance.
   */
  async #nextRun(reader: LogReader, waitMs: number): Promise<readonly LogRecord[]> {
    // Also a poll that does not wait for records may have to wait for the log itself.
    const interrupted = new AbortController();
    this.#wake = () => interrupted.abort();
    const limits = { maxRecords: RUN_RECORDS, maxBytes: RUN_BYTES, signal: interrupted.signal };
    for (const partition of this.#turns()) {
      const records = await reader.poll({ ...limits, partition, waitMs: 0 });
      if (records.length > 0) return records;
    }
    if (this.#isStopped || this.#wantedCuts.size > 0) return [];
    return reader.poll({ ...limits, waitMs });
  }

  #turns(): readonly Position[] {
    const partitions = [...this.#positions.values()];
    const last = partitions.findIndex((position) => keyOf(position) === this.#lastRun);
    return [...partitions.slice(last + 1), ...partitions.slice(0, last + 1)];
  }

  /** Something that another run could decide otherwise: first into the ledger, then into the stream. */
  async #decide(entry: LedgerEntry, records: readonly LogRecord[] = []): Promise<void> {
    const after = (await this.#options.ledger?.append(entry)) ?? this.#ledgerPosition + 1;
    this.#ledgerPosition = after - 1;
    if (entry.kind === 'tick') this.#tick(entry.atMs);
    else await this.#emitAll(records);
    this.#ledgerPosition = after;
    this.#endRun(entry);
  }

  async #play(entry: LedgerEntry, reader: LogReader): Promise<void> {
    if (entry.kind === 'tick') {
      this.#tick(entry.atMs);
      return;
    }
    while (this.#played < entry.count && !this.#isStopped) {
      const records = await reader.poll({ partition: entry, maxRecords: entry.count - this.#played, waitMs: 0 });
      const offset = records[0]?.offset ?? -1;
      // The run began at a record; after that a log may leave out offsets, as Kafka does for the marks of transactions.
      if (this.#played === 0 ? offset !== entry.from : offset < entry.from + this.#played) {
        throw new MillraceError(
          'offset-out-of-range',
          `The ledger says that ${entry.topic}/${entry.partition} was read from offset ${entry.from} on, but after ` +
            `${this.#played} of its records the log gives ${records[0]?.offset ?? 'nothing'}. Was the topic deleted or cut by retention?`,
        );
      }
      await this.#emitAll(records);
    }
    this.#endRun(entry);
  }

  #endRun(entry: LedgerEntry): void {
    this.#played = 0;
    if (entry.kind === 'run') this.#lastRun = keyOf(entry);
  }

  /** Records of one partition. Waits only where it must: to wait for each would cost more than all else that is done here. */
  async #emitAll(records: readonly LogRecord[]): Promise<void> {
    const [first] = records;
    const partition = first ? keyOf(first) : '';
    for (const record of records) {
      if (this.#mustWait) await this.#letThrough();
      if (this.#isStopped) return;
      this.#emit(record, partition);
    }
  }

  #emit(record: LogRecord, key: string): void {
    this.#positions.set(key, { topic: record.topic, partition: record.partition, offset: record.offset + 1 });
    this.#played += 1;
    const bytes = (record.value?.byteLength ?? 0) + (record.key?.byteLength ?? 0);
    this.window.take(bytes);
    this.#subscriber.next({ kind: 'item', value: record, bytes, source: this });
  }

  #tick(atMs: number): void {
    this.#subscriber.next({ kind: 'tick', atMs, source: this });
  }

  get #mustWait(): boolean {
    return this.#wantedCuts.size > 0 || !this.window.isOpen;
  }

  /** Returns when the window is open, or the source stopped; wanted cuts are made on the way, however full it is. */
  async #letThrough(): Promise<void> {
    while (!this.#isStopped) {
      const reason = CUT_ORDER.find((each) => this.#wantedCuts.has(each));
      if (reason) this.#cut(reason);
      else if (this.window.isOpen) return;
      else await Promise.race([this.window.opened(), new Promise<void>((resolve) => (this.#wake = resolve))]);
    }
  }

  #cut(reason: CutReason): void {
    for (const done of [reason, ...PERIODIC]) this.#wantedCuts.delete(done);
    const positions = [...this.#positions.values()].map((position) => ({ ...position }));
    const state = { positions, ledger: this.#ledgerPosition, played: this.#played, lastRun: this.#lastRun };
    const basket = new Map<Uid, Snapshot>([[this.#uid, { state }]]);
    this.#subscriber.next({ kind: 'barrier', reason, basket, source: this });
  }

  #moveTo(position: Position): void {
    this.#positions.set(keyOf(position), position);
  }
}

/** Where each partition was first read after a cut: the start of a partition that the cut does not know. */
function firstRuns(entries: readonly LedgerEntry[]): readonly Position[] {
  const runs = entries.filter((entry) => entry.kind === 'run').toReversed();
  return runs.map(({ topic, partition, from }) => ({ topic, partition, offset: from }));
}

/** The next offsets to read, in the order of the partitions, as the snapshot that ingest put into a cut says. */
export function positionsIn(uid: Uid, { state }: Snapshot): readonly Position[] {
  return readState(uid, () => stateSchema.parse(state).positions);
}

function keyOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}

export const ingestKind: OperatorKind = defineKind({
  kind: 'ingest',
  summary: 'Emits the records of topics, with barriers and ticks among them.',
  input: 'topics',
  output: 'record',
  config: z.strictObject({
    topics: z.array(z.string()).min(1).describe('Topics to read.'),
    window: byteSizeSchema.default('256KB').describe('Bytes in flight from here to the end of the stream.'),
    from: z.enum(['earliest', 'latest']).default('earliest').describe('Where a job that starts anew begins.'),
    tickEvery: durationSchema
      .default('1s')
      .describe('How often operators that wait (batch.maxWait) are told the time.'),
    group: z
      .string()
      .optional()
      .describe('Group under which offsets are reported for monitoring; the job id if absent.'),
  }),
  topicsOf: ({ topics }) => topics,
  build: (uid, { window, from, tickEvery, group }, { restore, ledger, clock, jobId }) =>
    ingest({ uid, window, from, tickEvery, restore, ledger, clock, group: group ?? jobId }),
});
