import type { Position, TopicLog } from '../../../operators/ports.ts';

/** A log under test. */
export interface OpenedLog {
  readonly log: TopicLog;
  /** Kind and address, where another process can open it. */
  readonly address: readonly string[];
  /** Another handle on the same log, as another process would have. */
  another(): Promise<TopicLog>;
  /** Closes every handle and opens the log again. */
  reopen(): Promise<TopicLog>;
  /** Drops the records of a partition before an offset, where retention is not kept to at once. */
  forget?(position: Position): Promise<void>;
  /** Closes every handle and removes what was stored. */
  close(): Promise<void>;
}

export interface LogCapabilities {
  /** Whether `retentionBytes` is kept to on every produce. */
  readonly exactRetention: boolean;
  /** Whether offsets are without gaps; where transactions leave marks between records they are not. */
  readonly denseOffsets: boolean;
  /** Whether other processes can open it, by its address. */
  readonly manyProcesses: boolean;
}

/** What a test is given. */
export interface LogUnderTest {
  readonly opened: OpenedLog;
  readonly log: TopicLog;
  /** A name that no topic has yet. */
  readonly topic: string;
}
