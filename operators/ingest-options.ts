import type { OnDataLoss } from './data-loss.ts';
import type { Uid } from './flow.ts';
import type { Assignments, Clock, DeadLetters, Ledger, Position } from './ports.ts';
import type { Snapshot } from './types.ts';
import type { MixWeights } from './turns.ts';
import type { ByteSize, Duration } from './units.ts';

export interface IngestOptions {
  readonly uid?: Uid;
  /** Bytes that may be in flight between here and the end of the pipeline. */
  readonly window?: ByteSize;
  /** The cut to go on from; a job that starts anew has none. */
  readonly restore?: { readonly states: ReadonlyMap<Uid, Snapshot> } | null;
  /** Weights of topics, by which their bytes are mixed; 1 where none is named. Without any, partitions take turns. */
  readonly mix?: MixWeights;
  /** Where topics that the cut does not know are read from. Partitions that are added to a topic are read from their start. */
  readonly from?: 'earliest' | 'latest';
  /** Where topics ended that `latest` is to begin at; asked for those that are not named. */
  readonly ends?: readonly Position[] | undefined;
  /** This job's own ledger. Makes the order across partitions, and the ticks, repeatable; a restart may differ without. */
  readonly ledger?: Ledger;
  /** How often a tick is let down, for operators that wait (`maxWait`). None by default. */
  readonly tickEvery?: Duration;
  /** Group under which offsets are reported to the log after each cut. Recovery never reads them. */
  readonly group?: string;
  /** Which partitions are read, where the topics are shared with other processes; all of them by default. */
  readonly assignments?: Assignments;
  /** What becomes of records that retention drops before they are read: the flow ends, or goes on behind them. */
  readonly onDataLoss?: OnDataLoss;
  /** Where ranges go that are lost. */
  readonly deadLetters?: DeadLetters;
  readonly clock?: Clock;
}
