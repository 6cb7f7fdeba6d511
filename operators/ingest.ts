import { Observable, firstValueFrom, from, fromEvent, race, switchMap, timer, toArray } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import { allPartitions } from './assignments.ts';
import { lostBefore, replayCutShort } from './data-loss.ts';
import { MillraceError } from './errors.ts';
import type { Barrier, Change, Element, Reading, Source, Uid } from './flow.ts';
import type { IngestOptions } from './ingest-options.ts';
import { findStart, positionsOf } from './ingest-start.ts';
import { ingestSnapshot, ingestStateIn, placeOf } from './ingest-state.ts';
import { Ownership } from './ownership.ts';
import type { Assignment, Assignments, Clock, LedgerEntry, Topic } from './ports.ts';
import { Positions } from './positions.ts';
import { RunReader } from './run-reader.ts';
import { keyOf } from './standing.ts';
import type { Run, Standing } from './standing.ts';
import { isTopicMissing, topicDeleted } from './topic-missing.ts';
import type { CutReason, LogRecord, Snapshot, Span } from './types.ts';
import { toBytes, toMs } from './units.ts';
import { Turns } from './turns.ts';
import { WantedCuts } from './wanted-cuts.ts';
import { Window } from './window.ts';

/** How long one poll waits at most; a wanted cut interrupts it. */
const POLL_MS = 1000;
/** How long the cut may take that saves what was read of a topic before it was deleted. */
const LAST_CUT_MS = 60_000;

/**
 * Emits the records of the topics that it is given: a restore mark, then records with barriers and ticks among them.
 *
 * Order: by offset within a partition; partitions take turns, or topics by the weights of a mix, and the order that came
 * about is in the ledger before the first record that it concerns is emitted. After a restart the ledger is played again, then the stream is live.
 * Partitions come and go with the assignment, always at a cut: one that is given away ends with it, and nothing is emitted
 * from there until the next assignment is known.
 * Backpressure: pulls nothing, and emits nothing, while the window is overdrawn. Errors: those of the log and of the
 * assignment end the flow; a topic that was deleted does so behind a last cut, and what retention dropped does not with
 * `onDataLoss: 'earliest'`: ledger and dead letters then have the range. Completion: never; unsubscribing stops the
 * reader. Snapshot: the next offset of every partition, the ledger's position.
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
  readonly #assignments: Assignments;
  readonly #ownership: Ownership;
  readonly #positions = new Positions();
  readonly #reader: RunReader;
  readonly #clock: Clock;
  readonly #stopped = new AbortController();
  readonly #wantedCuts = new WantedCuts();
  /** What the cut for `deploy` is wanted for, where no other graph goes on there. */
  #change: Change | undefined;
  /** What to do when a cut is stored that somebody in here waits for. */
  readonly #onCommitted = new WeakMap<Barrier, () => void>();
  #failure: MillraceError | null = null;
  #wake: () => void = () => {};
  #ledgerPosition = 0;
  #played = 0;
  #turns = new Turns(null, { lastRun: null, mixed: {} });
  /** Somebody has something to do in time that there is to spare. */
  #isSpareWanted = false;
  #timeline = 0;
  /** Another graph goes on behind the last barrier. */
  #isOver = false;

  constructor(topics: readonly Topic[], options: IngestOptions, subscriber: Subscriber<Element<LogRecord>>) {
    this.window = new Window(toBytes(options.window ?? '1MB'));
    this.#topics = topics;
    this.#options = options;
    this.#uid = options.uid ?? 'ingest';
    this.#reader = new RunReader(topics, this.#positions, options.mix !== undefined);
    this.#subscriber = subscriber;
    this.#clock = options.clock ?? { nowMs: () => Date.now() };
    this.#assignments = options.assignments ?? allPartitions(topics, { group: options.group });
    this.#ownership = new Ownership(this.#assignments, {
      wantHandOver: () => this.requestCut('handover'),
      wake: () => this.#wake(),
      fail: (error) => this.#fail(error),
    });
  }

  requestCut(reason: CutReason, change?: Change): void {
    this.#wantedCuts.add(reason);
    if (reason === 'deploy') this.#change = change;
    this.#wake();
  }

  holdDeploy(): () => void {
    const release = this.#wantedCuts.holdDeploy();
    return () => {
      release();
      this.#wake();
    };
  }

  async cutCommitted(barrier: Barrier): Promise<void> {
    const snapshot = barrier.basket.get(this.#uid);
    if (!snapshot) return;
    const state = ingestStateIn(this.#uid, snapshot);
    try {
      await this.#ownership.current?.commit(state.positions, placeOf(state));
    } catch (error) {
      // The error that this cut was made for says more.
      if (this.#failure === null) throw error;
    }
    this.#onCommitted.get(barrier)?.();
  }

  reads(): readonly Reading[] {
    return this.#positions.readings;
  }

  requestSpareTick(): void {
    this.#isSpareWanted = true;
    this.#wake();
  }

  stop(): void {
    this.#stopped.abort();
    this.#ownership.stop();
    this.#wake();
  }

  async run(): Promise<void> {
    if (this.#topics.length === 0) throw new MillraceError('topic-missing', 'ingest was given no topic to read.');
    const assignment = await this.#ownership.first;
    const here = { uid: this.#uid, topics: this.#topics, assignments: this.#assignments, assignment };
    const { state, standing, positions, timeline } = await findStart({ ...this.#options, ...here });
    this.#positions.takeUp(positions);
    this.#ledgerPosition = state.ledger;
    this.#turns = new Turns(this.#options.mix ?? null, state);
    this.#timeline = timeline;
    // Without the ledger that the cut was made with, its run is not gone on with: another one begins.
    if (standing.entries.length > 0) this.#played = state.played;
    const states = this.#options.restore?.states ?? new Map<Uid, Snapshot>();
    this.#subscriber.next({ kind: 'restore', states, timeline, source: this });
    try {
      await this.#openReader();
      await this.#replay(standing);
      await this.#live();
    } catch (error) {
      throw await this.#saveWhatWasRead(error);
    } finally {
      await this.#reader.close();
    }
  }

  get #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  async #openReader(): Promise<void> {
    await (this.#isStopped ? this.#reader.close() : this.#reader.open());
  }

  async #replay({ entries }: Standing): Promise<void> {
    for (const entry of entries) {
      if (entry) await this.#play(entry).catch((error: unknown) => this.#cutReplayShort(error));
      if (this.#isStopped) return;
      if (this.#ownership.isHandedOver) {
        throw new MillraceError(
          'group-fenced',
          'Partitions changed hands while what had been read of them before was played again. The stream begins anew from ' +
            'the cut that was made for it.',
        );
      }
      this.#ledgerPosition += 1;
      this.#played = 0;
    }
  }

  async #live(): Promise<void> {
    const tickMs = this.#options.tickEvery === undefined ? Infinity : toMs(this.#options.tickEvery);
    let nextTickMs = this.#clock.nowMs() + tickMs;
    await this.#dropOthers();
    while (!this.#isStopped) {
      await this.#letThrough();
      const next = this.#ownership.next;
      if (next) {
        await this.#adopt(next);
        continue;
      }
      const waitMs = Math.max(0, Math.min(POLL_MS, nextTickMs - this.#clock.nowMs()));
      const records = await this.#nextRun(waitMs).catch((error: unknown) => this.#goOnBehindLoss(error));
      const first = records?.[0];
      if (this.#isStopped) return;
      if (records && first) {
        const run = { topic: first.topic, partition: first.partition, from: first.offset, count: records.length };
        await this.#decide({ kind: 'run', ...run }, records);
      } else if (records && (this.#clock.nowMs() >= nextTickMs || this.#hasTimeToSpare)) {
        // Only a source that has nothing to give tells the time: behind a full window nobody waits for records, and while
        // the log is away nobody knows whether there are any.
        const spare = this.#hasTimeToSpare ? ({ isSpare: true } as const) : {};
        if (this.#hasTimeToSpare) this.#isSpareWanted = false;
        await this.#decide({ kind: 'tick', atMs: this.#clock.nowMs(), ...spare });
        nextTickMs = this.#clock.nowMs() + tickMs;
      }
    }
  }

  /** Goes on with other partitions, from a cut on. */
  async #adopt(next: Assignment): Promise<void> {
    const { known } = this.#positions;
    const positions = await positionsOf(next, { topics: this.#topics, from: 'earliest', known });
    if (!this.#ownership.isHandedOver) this.#cut('timer');
    if (this.#isStopped || !this.#ownership.adopt(next)) return;
    this.#positions.leaveOff(this.#positions.all);
    this.#positions.takeUp(positions);
    await this.#openReader();
  }

  /** What was only played again is read on by others. */
  async #dropOthers(): Promise<void> {
    const ours = new Set(this.#ownership.current?.partitions.map(keyOf));
    const others = this.#positions.all.filter((position) => !ours.has(keyOf(position)));
    this.#positions.leaveOff(others);
    if (others.length > 0) await this.#openReader();
  }

  /**
   * Records of the partition whose turn it is, or of the next one that has any. So the order of what is already in the
   * log depends on nothing but the log; only what arrives while this waits is ordered by chance. Null where something came
   * up before it was known whether there are any.
   */
  async #nextRun(waitMs: number): Promise<readonly LogRecord[] | null> {
    // Also a poll that does not wait for records may have to wait for the log itself.
    const interrupted = new AbortController();
    this.#wake = () => interrupted.abort();
    const { signal } = interrupted;
    const records = await this.#reader.next(this.#turns.inOrder(this.#positions.all), signal);
    if (records.length > 0) return records;
    if (signal.aborted || this.#wantedCuts.next !== undefined || this.#ownership.next || this.#failure !== null) {
      return null;
    }
    if (this.#hasTimeToSpare) return [];
    if (this.#isSpareWanted) void this.window.drained().then(() => interrupted.abort());
    const arrived = this.#positions.isEmpty ? [] : await this.#reader.arriving(waitMs, signal);
    if (arrived.length > 0) return arrived;
    if (this.#positions.isEmpty) await firstValueFrom(race(timer(waitMs), fromEvent(signal, 'abort')));
    return signal.aborted ? null : arrived;
  }

  /** Something that another run could decide otherwise: first into the ledger, then into the stream. */
  async #decide(entry: LedgerEntry, records: readonly LogRecord[] = []): Promise<void> {
    let after = await this.#write(entry);
    this.#ledgerPosition = after - 1;
    if (entry.kind === 'run') this.#beginRun(entry);
    if (entry.kind === 'tick') this.#tick(entry);
    else await this.#emitAll(records);
    if (this.#isStopped) return;
    if (this.#played < records.length) after = await this.#write({ kind: 'short', count: this.#played });
    this.#ledgerPosition = after;
    this.#endRun(entry);
  }

  /** Resolves with the position behind the entry. */
  async #write(entry: LedgerEntry): Promise<number> {
    return (await this.#options.ledger?.append(entry)) ?? this.#ledgerPosition + 1;
  }

  async #play(entry: LedgerEntry): Promise<void> {
    if (entry.kind === 'tick') await this.#tickAgain(entry);
    if (entry.kind === 'lost') await this.#skip([entry]);
    if (entry.kind !== 'run') return;
    if (this.#played === 0) this.#beginRun(entry);
    while (this.#played < entry.count && !this.#isStopped && !this.#ownership.isHandedOver) {
      await this.#emitAll(await this.#reader.again(entry, this.#played));
    }
    this.#endRun(entry);
  }

  /** What can't be played again is undone, and the loss put in its place, for the next run to find. */
  async #cutReplayShort(error: unknown): Promise<never> {
    const lost = await lostBefore(error, this.reads(), { ...this.#options, topics: this.#topics });
    await this.#write({ kind: 'undo', to: { entry: this.#ledgerPosition, played: this.#played } });
    for (const span of lost) await this.#write({ kind: 'lost', ...span });
    throw replayCutShort(lost);
  }

  /** Returns null: what there is comes next. */
  async #goOnBehindLoss(error: unknown): Promise<null> {
    const lost = await lostBefore(error, this.reads(), { ...this.#options, topics: this.#topics });
    for (const span of lost) this.#ledgerPosition = await this.#write({ kind: 'lost', ...span });
    await this.#skip(lost);
    return null;
  }

  async #skip(lost: readonly Span[]): Promise<void> {
    for (const { topic, partition, to } of lost) this.#positions.moveTo({ topic, partition, offset: to });
    await this.#openReader();
  }

  #endRun(entry: LedgerEntry): void {
    this.#played = 0;
    if (entry.kind === 'run') this.#turns.end(entry);
  }

  #beginRun(run: Run): void {
    const topics = this.#topics.map(({ name }) => name);
    this.#turns.begin(run, topics);
  }

  /**
   * Records of one partition, to the end or to where it is handed over. Waits only where it must: to wait for each would
   * cost more than all else that is done here.
   */
  async #emitAll(records: readonly LogRecord[]): Promise<void> {
    const [first] = records;
    const key = first ? keyOf(first) : '';
    for (const record of records) {
      if (this.#mustWait) await this.#letThrough();
      if (this.#isStopped || this.#ownership.isHandedOver) return;
      this.#emit(record, key);
    }
  }

  #emit(record: LogRecord, key: string): void {
    this.#positions.moveTo({ topic: record.topic, partition: record.partition, offset: record.offset + 1 }, key);
    this.#played += 1;
    const bytes = (record.value?.byteLength ?? 0) + (record.key?.byteLength ?? 0);
    this.window.take(bytes);
    this.#turns.read(record.topic, bytes);
    this.#subscriber.next({ kind: 'item', value: record, bytes, source: this });
  }

  #tick({ atMs, isSpare }: LedgerEntry & { readonly kind: 'tick' }): void {
    this.#subscriber.next({ kind: 'tick', atMs, ...(isSpare ? { isSpare } : {}), source: this });
  }

  /** What is done in spare time fills the window too. */
  async #tickAgain(tick: LedgerEntry & { readonly kind: 'tick' }): Promise<void> {
    await this.#letThrough();
    if (!this.#isStopped && !this.#ownership.isHandedOver) this.#tick(tick);
  }

  get #hasTimeToSpare(): boolean {
    return this.#isSpareWanted && this.window.inFlightBytes === 0;
  }

  get #mustWait(): boolean {
    return this.#isOver || this.#wantedCuts.next !== undefined || this.#ownership.isHandedOver || !this.window.isOpen;
  }

  /**
   * Returns when the window is open, the source stopped, or partitions that were given back have been exchanged for others;
   * wanted cuts are made on the way, however full the window is.
   */
  async #letThrough(): Promise<void> {
    while (!this.#isStopped) {
      const reason = this.#wantedCuts.next;
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      if (this.#isOver) await woken;
      else if (reason) this.#cut(reason);
      else if (this.#failure !== null) throw this.#failure;
      else if (!this.#ownership.isHandedOver && this.window.isOpen) return;
      else if (this.#ownership.isHandedOver && this.#ownership.next) return;
      else await (this.#ownership.isHandedOver ? woken : Promise.race([this.window.opened(), woken]));
    }
  }

  #cut(reason: CutReason, onCommitted?: () => void): void {
    this.#wantedCuts.done(reason);
    const change = reason === 'deploy' ? this.#change : undefined;
    this.#isOver = reason === 'deploy' && !change;
    const basket = new Map([[this.#uid, this.#snapshot()]]);
    const barrier: Barrier = { kind: 'barrier', reason, basket, source: this, ...(change ? { change } : {}) };
    if (onCommitted) this.#onCommitted.set(barrier, onCommitted);
    if (reason === 'handover') {
      this.#ownership.barrierLetDown();
      this.#onCommitted.set(barrier, () => this.#ownership.barrierCommitted());
    }
    this.#subscriber.next(barrier);
  }

  #snapshot(): Snapshot {
    return ingestSnapshot({
      positions: this.#positions.all,
      ledger: this.#ledgerPosition,
      played: this.#played,
      timeline: this.#timeline,
      group: this.#assignments.group,
      ...this.#turns.state,
    });
  }

  #fail(error: unknown): void {
    if (isTopicMissing(error) && this.#reader.isOpen) this.#failure = error;
    else this.#subscriber.error(error);
    this.#wake();
  }

  /** A topic that is deleted takes nothing with it of what was read: a last cut has that. */
  async #saveWhatWasRead(error: unknown): Promise<unknown> {
    if (!isTopicMissing(error) || this.#isStopped) return error;
    this.#failure = error;
    const stored = new Promise<void>((resolve) => this.#cut('timer', resolve));
    const stopped = fromEvent(this.#stopped.signal, 'abort');
    await firstValueFrom(race(from(stored), stopped, timer(LAST_CUT_MS)));
    return topicDeleted(error);
  }
}
