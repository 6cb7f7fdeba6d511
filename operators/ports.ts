import type { Observable } from 'rxjs';
import type { ChosenProbability } from '../model/log-probabilities.ts';
import type { ReadCounts, SamplerRequest } from '../model/sampler.ts';
import type { OldTokens } from '../model/tokenizer/respelling.ts';
import type { GuardSettings } from '../model/spike-guard.ts';
import type { StepInput, StepResult, Tokenizer } from '../model/types.ts';
import type { Coordinates, CutReason, LogRecord, NewRecord, Snapshot } from './types.ts';
import type { Uid } from './flow.ts';
import type { ErrorCode } from './errors.ts';

// ── Logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface PartitionId {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionOffsets extends PartitionId {
  /** Oldest offset that can still be read. */
  readonly start: number;
  /** Offset that the next record will get. */
  readonly end: number;
}

/** The next offset to read of a partition. */
export interface Position extends PartitionId {
  readonly offset: number;
  /** What a group remembers with its position: up to 4 kB of text. Absent where there is none. */
  readonly metadata?: string;
}

/** How long records are kept: all of them, where nothing is said. */
export interface TopicRetention {
  /** Oldest records are dropped beyond this many bytes per partition. */
  readonly retentionBytes?: number;
  readonly retentionMs?: number;
}

export interface TopicSettings extends TopicRetention {
  readonly partitions?: number;
}

/** A topic that exists, ready to be ingested. */
export interface Topic {
  readonly name: string;
  readonly partitions: number;
  readonly log: TopicLog;
}

/**
 * Topics of partitioned, append-only records. Every adapter passes the contract suite in tests/contract/topic-log.ts.
 * All methods may be called from several processes at once.
 */
export interface TopicLog {
  /** Makes a topic; does nothing when it is there with as many partitions, else rejects with `topic-mismatch`. */
  createTopic(name: string, settings?: TopicSettings): Promise<void>;
  topics(): Promise<readonly { readonly name: string; readonly partitions: number }[]>;
  /** What a topic was made with. Rejects with `topic-missing`. */
  retention(topic: string): Promise<TopicRetention>;
  /** Emits the topic once and completes; errors with `topic-missing`. */
  topic(name: string): Observable<Topic>;
  /** Appends all records or none. Resolves with their coordinates once they will outlive the process. */
  produce(topic: string, records: readonly NewRecord[]): Promise<readonly Coordinates[]>;
  offsets(topic: string): Promise<readonly PartitionOffsets[]>;
  /** A reader that starts at the given positions; partitions that are not named are not read. */
  reader(from: readonly Position[]): LogReader;
  /** Remembers positions under a group's name, for people's monitoring and for consumers without checkpoints. */
  commit(group: string, positions: readonly Position[]): Promise<void>;
  committed(group: string, topic: string): Promise<readonly Position[]>;
  /**
   * Opens transactions that move a group's positions, under an id that outlives the process. Whoever opened them before
   * under the same id is fenced: what it has not committed by now never will be, so nothing of it is still to come when
   * this resolves.
   */
  transactions(id: string, group: string): Promise<Transactions>;
  /** Joins a group of jobs that share topics. Absent where a log can't be shared so. */
  join?(options: GroupOptions): GroupMembership;
  close(): Promise<void>;
}

/** A record and the topic that it goes to. */
export interface TopicRecord extends NewRecord {
  readonly topic: string;
}

/** What was made of records that a group has consumed, and where the group then stands. */
export interface Transaction {
  readonly records: readonly TopicRecord[];
  /** At least one, and not as committed before: whether a transaction went through may have to be told by them. */
  readonly positions: readonly Position[];
}

export interface Transactions {
  /**
   * Appends the records and moves the group to the positions: both or neither, and once, however often it had to be tried
   * again on the way. Resolves with the records' coordinates once both will outlive the process. Transactions of one id
   * are carried out one after the other. Rejects with `producer-fenced` when a newer process has opened the same id.
   */
  commit(transaction: Transaction): Promise<readonly Coordinates[]>;
  close(): Promise<void>;
}

// ── Who reads what ───────────────────────────────────────────────────────────────────────────────────────────────

/** A place in a ledger: so many records of an entry, and all entries before it. */
export interface LedgerPlace {
  readonly entry: number;
  readonly played: number;
}

export interface AssignedPartition extends PartitionId {
  /** Where whoever had it before has stopped; null where nobody has had it, or where only the cut says it. */
  readonly offset: number | null;
}

/** Partitions that are ours to read until they are asked back. */
export interface Assignment {
  readonly partitions: readonly AssignedPartition[];
  /**
   * Reports what a cut has read; where the partitions are shared, this is what makes the cut count. Rejects with
   * `group-fenced` when they are ours no more: then the cut is as if it had never been made.
   */
  commit(positions: readonly Position[], place: LedgerPlace): Promise<void>;
}

/** Says which partitions a source reads: all of its topics, or its share where several processes are one group. */
export interface Assignments {
  /** Null where nothing is shared: then every cut counts as soon as it is stored. */
  readonly group: string | null;
  /** Where the newest cut that counts has left the ledger; null when the group has never heard of this job. */
  counted(): Promise<LedgerPlace | null>;
  /**
   * Emits the assignment, and each that takes its place. Where that may take partitions away, `handOver` is called before:
   * it resolves when a cut that ends with them counts, and nothing more is read until the next assignment comes. Errors:
   * `group-fenced` when the partitions were given to others without asking, `topic-missing`. One subscriber at a time.
   */
  watch(handOver: () => Promise<void>): Observable<Assignment>;
}

export interface GroupOptions {
  readonly group: string;
  /** That the group shares. */
  readonly topics: readonly string[];
  /** Who joins. */
  readonly job: string;
  /** Topic of the job's own ledger. */
  readonly ledgerTopic: string;
  /** Without a sign of life for so long, a member's partitions go to others; the log's own default if absent. */
  readonly sessionMs?: number | undefined;
}

/** A job's share of topics. It joins when it is first watched. */
export interface GroupMembership extends Assignments {
  /** Leaves, so that others take over at once. */
  close(): Promise<void>;
}

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface PollOptions {
  /** Only this partition; otherwise whichever has records, in turn. */
  readonly partition?: PartitionId;
  readonly maxRecords?: number;
  /** At least one record is returned when there is one, however large. */
  readonly maxBytes?: number;
  /** How long to wait for a first record before resolving with none. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

export interface LogReader {
  /**
   * Takes the next records of one partition, in order of offset. Resolves with none after `waitMs` or when aborted.
   * Rejects with `offset-out-of-range` when retention has overtaken the reader. One poll at a time.
   */
  poll(options?: PollOptions): Promise<readonly LogRecord[]>;
  positions(): readonly Position[];
  close(): Promise<void>;
}

// ── Training and sampling ────────────────────────────────────────────────────────────────────────────────────────

/**
 * Drives one model's training. Calls are carried out in the order in which they were made, so several may be under way.
 * Rejects with `process-died` when the process behind it is gone; the pipeline is then rebuilt from its last checkpoint.
 */
export interface Trainer {
  /**
   * Starts from a snapshot of `snapshot()`, or from fresh weights when there is none. Where it is of another vocabulary, that
   * says which of its tokens each token comes from.
   */
  restore(snapshot: Snapshot | null, vocabulary?: readonly OldTokens[]): Promise<void>;
  /** Skips the step where the batch is a spike by the guard; without one, only where loss or gradient is not finite. */
  step(batch: StepInput, guard?: GuardSettings): Promise<StepResult>;
  /** The loss that a step would report of the batch, in nats per counted target; trains nothing. */
  evaluate(batch: StepInput): Promise<number>;
  /**
   * Weights and optimizer as files, the schedule and counters as state: all that the next step depends on, as it is when
   * the call's turn has come. Steps that are asked for meanwhile do not wait until the files are written.
   */
  snapshot(): Promise<Snapshot>;
  close(): Promise<void>;
}

/** A prompt as tokens, and how it is to be answered. */
export type SampleRequest = SamplerRequest;

export interface SampleDelta {
  readonly tokens: Int32Array;
  /** Of each token, and of the stop token behind them, when the request asks for them. */
  readonly logProbabilities?: readonly ChosenProbability[];
  /** Of each token of the prompt but the first, on the first delta, when the request asks for them. */
  readonly promptLogProbabilities?: readonly ChosenProbability[];
  /** How much of the prompt was read, on the first delta. */
  readonly read?: ReadCounts;
  readonly weights: WeightsVersion;
  /** Set on the last delta only. */
  readonly finish: FinishReason | null;
}

/**
 * Why an answer ends: a stop token or string; the length limit, or the context is full; its time is over; or whoever asked
 * takes the prompt back.
 */
export type FinishReason = 'stop' | 'length' | 'deadline' | 'cancelled';

/**
 * How far text was learnt: by `topic/partition` the offset behind the last record that a step has trained on. Those below
 * it were trained on too, or passed over.
 */
export type Watermark = Readonly<Record<string, number>>;

/** Which weights speak, and what they have seen. */
export interface WeightsVersion {
  /** Id of the checkpoint that they come from. */
  readonly id: string;
  readonly step: number;
  /** Absent where nobody has said. */
  readonly seen?: Watermark;
  /** When the newest record that they have seen was appended, in milliseconds since the epoch. */
  readonly textAtMs?: number;
  /** When their last step was done; absent for weights that an earlier run has trained. */
  readonly trainedAtMs?: number;
}

export interface WeightsFile extends WeightsVersion {
  /** A safetensors file with the model's config in its metadata. */
  readonly path: string;
}

export interface Sampler {
  /**
   * Takes new weights between two tokens, and resolves when they speak. Answers that `finish` end on their old ones; while
   * such are under way two sets are held, and weights that come then wait, the newest of them only: for those that it has
   * overtaken this resolves too. Rejects, and speaks on with the old ones, when the file is bad.
   */
  load(weights: WeightsFile): Promise<void>;
  /** Emits deltas and completes; unsubscribing cancels. Waits for the first weights. */
  sample(request: SampleRequest): Observable<SampleDelta>;
  close(): Promise<void>;
}

// ── Checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────

export interface Cut {
  readonly reason: CutReason;
  readonly states: ReadonlyMap<Uid, Snapshot>;
}

export interface CheckpointInfo {
  /** Sortable: later checkpoints of a job have greater ids. */
  readonly id: string;
  readonly reason: CutReason;
  readonly createdAtMs: number;
  readonly bytes: number;
  readonly path: string;
}

export interface Checkpoint extends CheckpointInfo {
  readonly states: ReadonlyMap<Uid, Snapshot>;
}

export interface CheckpointStore {
  /** Commits a cut atomically: files first, manifest last. Staged files are moved. */
  put(cut: Cut): Promise<CheckpointInfo>;
  /** Oldest first, the corrupt ones left out. */
  list(): Promise<readonly CheckpointInfo[]>;
  /** Rejects with `checkpoint-corrupt` when anything does not match its checksum. */
  read(id: string): Promise<Checkpoint>;
  /** The newest intact one that counts, or null. Corrupt ones on the way are reported to the logger. */
  latest(counts?: (checkpoint: Checkpoint) => Promise<boolean>): Promise<Checkpoint | null>;
  /**
   * Drops all but the newest `keep` periodic checkpoints, and all but the newest `keepStops` of those that were made because
   * the job was stopped; what somebody has asked for is theirs, and stays.
   */
  prune(keep: number, keepStops?: number): Promise<void>;
}

// ── Records of what happened ─────────────────────────────────────────────────────────────────────────────────────

/**
 * What the source decided and another run could decide otherwise: the order of records across partitions, ticks, what
 * retention took away first, and what of all that became void because partitions changed hands. Written before anything that depends on it, replayed after a restart.
 */
export interface Ledger {
  /** Resolves with the position after the entry, once it will outlive the process. */
  append(entry: LedgerEntry): Promise<number>;
  /** Entries from a position on, to the end as it is now. */
  read(from: number): Promise<readonly LedgerEntry[]>;
  end(): Promise<number>;
}

export type LedgerEntry =
  | {
      readonly kind: 'run';
      readonly topic: string;
      readonly partition: number;
      readonly from: number;
      readonly count: number;
    }
  | { readonly kind: 'tick'; readonly atMs: number; readonly isSpare?: true | undefined }
  /** Retention dropped the offsets `[from, to)` before they were read. */
  | {
      readonly kind: 'lost';
      readonly topic: string;
      readonly partition: number;
      readonly from: number;
      readonly to: number;
    }
  /** The run right before was handed over after so many of its records. */
  | { readonly kind: 'short'; readonly count: number }
  /** What stands between that place and here does not count: others went on with its partitions. */
  | { readonly kind: 'undo'; readonly to: LedgerPlace };

/** An answer, whole, as the records that hold it. */
export interface Answer {
  /** Where its prompt stands. */
  readonly at: Coordinates;
  readonly records: readonly TopicRecord[];
}

/**
 * Which prompts have an answer. An answer and that its prompt has one are committed together, so that each prompt is
 * answered once, however often its stream begins anew.
 */
export interface AnswerBook {
  /**
   * Whether a prompt is still to be answered; if so it is noted as begun. Prompts of one partition are begun in the order of
   * their offsets.
   */
  begin(at: Coordinates): boolean;
  /** Resolves once the answer is committed. Rejects with `producer-fenced` when a newer process of the job is at work. */
  commit(answer: Answer): Promise<void>;
  close(): Promise<void>;
}

export interface DeadLetter {
  readonly at: Coordinates;
  readonly code: ErrorCode;
  readonly message: string;
  /** The record's own value, where it is at hand. */
  readonly value: Uint8Array | null;
  readonly key: Uint8Array | null;
}

export interface DeadLetters {
  /** Rejects with `dead-letter-failed`; the pipeline then stops without advancing. */
  put(letter: DeadLetter): Promise<void>;
}

// ── Surroundings ─────────────────────────────────────────────────────────────────────────────────────────────────

export type { Tokenizer };

export interface Clock {
  nowMs(): number;
}

export interface Logger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
