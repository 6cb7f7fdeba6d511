import { z } from 'zod';
import type { Uid } from './flow.ts';
import type { LedgerPlace, Position } from './ports.ts';
import { readState } from './stateful.ts';
import { mixedSchema } from './turns.ts';
import type { TurnsState } from './turns.ts';
import type { Snapshot } from './types.ts';

/** What `ingest` puts into the basket. */
export interface IngestState extends TurnsState {
  readonly positions: readonly Position[];
  /** Ledger position of the entry that is being played, and how many of its records have been. */
  readonly ledger: number;
  readonly played: number;
  /** Group that the cut needs to count; null where it counts by itself. */
  readonly group: string | null;
  /** Ledger position behind the last entry that undid others. */
  readonly timeline: number;
}

const int = z.number().int();

const stateSchema: z.ZodType<IngestState> = z.object({
  positions: z.array(z.object({ topic: z.string(), partition: int, offset: int })),
  ledger: int,
  played: int,
  lastRun: z.string().nullable(),
  mixed: mixedSchema.default({}),
  group: z.string().nullable().default(null),
  timeline: int.default(0),
});

/** Shares nothing with the state. */
export function ingestSnapshot({ positions, mixed, ...rest }: IngestState): Snapshot {
  const copies = positions.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  const turns = Object.entries(mixed).map(([topic, turn]) => [topic, { ...turn }] as const);
  return { state: { ...rest, positions: copies, ...(turns.length > 0 ? { mixed: Object.fromEntries(turns) } : {}) } };
}

export function ingestStateIn(uid: Uid, { state }: Snapshot): IngestState {
  return readState(uid, () => stateSchema.parse(state));
}

/** The next offsets to read, in the order of the partitions, as the snapshot that ingest put into a cut says. */
export function positionsIn(uid: Uid, snapshot: Snapshot): readonly Position[] {
  return ingestStateIn(uid, snapshot).positions;
}

/** The state of a source that goes on from the same offsets as part of another job, whose ledger is empty. */
export function forkedIngestState(state: IngestState): Snapshot {
  return ingestSnapshot({ ...state, ledger: 0, played: 0, timeline: 0, group: null });
}

export function placeOf({ ledger, played }: IngestState): LedgerPlace {
  return { entry: ledger, played };
}
