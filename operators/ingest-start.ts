import { MillraceError } from './errors.ts';
import type { IngestOptions } from './ingest-options.ts';
import { ingestStateIn, placeOf } from './ingest-state.ts';
import type { IngestState } from './ingest-state.ts';
import type { Assignment, Assignments, LedgerEntry, LedgerPlace, Position, Topic } from './ports.ts';
import { beyond, firstRuns, keyOf, standingFrom } from './standing.ts';
import type { Beyond, Standing } from './standing.ts';

export interface StartOptions extends Pick<IngestOptions, 'restore' | 'ledger' | 'from' | 'ends'> {
  readonly uid: string;
  readonly topics: readonly Topic[];
  readonly assignments: Assignments;
  readonly assignment: Assignment;
}

/** Where a source goes on. */
export interface Start {
  readonly state: IngestState;
  /** What was decided after the cut and is to be played again. */
  readonly standing: Standing;
  /** Of the partitions that are ours, then of those that are only played again. */
  readonly positions: readonly Position[];
  readonly timeline: number;
}

const NOTHING: IngestState = {
  positions: [],
  ledger: 0,
  played: 0,
  lastRun: null,
  mixed: {},
  group: null,
  timeline: 0,
};

/**
 * Finds out what was decided after the cut that is gone on from, and where partitions are to be read from. Where they are
 * shared, what lies behind the newest cut that counts is played again only if nobody else has gone on with its partitions;
 * otherwise it is undone, in the ledger first.
 */
export async function findStart(options: StartOptions): Promise<Start> {
  const { uid, topics, restore, ledger, from = 'earliest', ends, assignments, assignment } = options;
  const snapshot = restore?.states.get(uid);
  const state = snapshot ? ingestStateIn(uid, snapshot) : NOTHING;
  const place = placeOf(state);
  const decided = (await ledger?.read(place.entry)) ?? [];
  let standing = standingFrom(place, decided);
  if (assignments.group !== null) {
    const counted = await countedPlace(assignments, assignments.group, state);
    const rest = beyond(place, standing, counted ?? place);
    if (!isUntouched(rest, state, counted ?? place, assignment)) {
      const undo: LedgerEntry = { kind: 'undo', to: counted ?? place };
      await ledger?.append(undo);
      standing = standingFrom(place, [...decided, undo]);
    }
    // From now on the group knows this job: a cut that it has not heard of does not count.
    if (!counted) await assignment.commit([], place);
  }
  const known = new Map(state.positions.map((position) => [keyOf(position), position]));
  const replayed = new Map(firstRuns(standing.entries));
  const [begun] = standing.entries;
  const goneOnWith = begun?.kind === 'run' && state.played > 0 ? known.get(keyOf(begun)) : undefined;
  if (goneOnWith) replayed.set(keyOf(goneOnWith), goneOnWith);
  const ours = await positionsOf(assignment, { topics, from, ends, known });
  const own = new Set(ours.map(keyOf));
  const positions = ours.map((position) => replayed.get(keyOf(position)) ?? position);
  const borrowed = [...replayed.values()].filter((position) => !own.has(keyOf(position)));
  return { state, standing, positions: [...positions, ...borrowed], timeline: standing.undoneAt ?? state.timeline };
}

/** Where partitions that are ours are read from: what the group says, else what we know, else from one of their ends. */
export async function positionsOf(
  { partitions }: Assignment,
  {
    topics,
    from,
    ends = [],
    known,
  }: {
    readonly topics: readonly Topic[];
    /** Of a topic of which nothing is known. */
    readonly from: 'earliest' | 'latest';
    /** Where topics ended that `latest` is to begin at. */
    readonly ends?: readonly Position[] | undefined;
    readonly known: ReadonlyMap<string, Position>;
  },
): Promise<readonly Position[]> {
  const positions: Position[] = [];
  for (const { name, log } of topics) {
    const wanted = partitions.filter(({ topic }) => topic === name);
    const offsets = wanted.map((at) => at.offset ?? known.get(keyOf(at))?.offset);
    const isKnown = offsets.some((offset) => offset !== undefined);
    // A partition that was added to a topic is read from its start, whatever holds for the topic.
    const end = from === 'latest' && !isKnown ? 'end' : 'start';
    const asked = offsets.includes(undefined) ? await log.offsets(name) : [];
    const noted = end === 'end' ? ends.filter(({ topic }) => topic === name) : [];
    for (const [index, { partition }] of wanted.entries()) {
      const now = asked.find((each) => each.partition === partition)?.[noted.length > 0 ? 'start' : end];
      const before = noted.find((each) => each.partition === partition)?.offset;
      positions.push({ topic: name, partition, offset: offsets[index] ?? before ?? now ?? 0 });
    }
  }
  return positions;
}

async function countedPlace(assignments: Assignments, group: string, state: IngestState): Promise<LedgerPlace | null> {
  const counted = await assignments.counted();
  if (counted || state.group !== group) return counted;
  throw new MillraceError(
    'group-lost',
    `Group ${group} knows nothing of this job any more: Kafka forgets the offsets of a group without members after a week, ` +
      'or somebody has deleted it. Name another group with --group: the job then goes on from its own newest checkpoint, and ' +
      'trains what other jobs of the old group may have trained of its partitions.',
  );
}

/** Whether nobody has read on from where this was about to. */
function isUntouched(
  { begun, entries }: Beyond,
  { positions, ledger, played }: IngestState,
  counted: LedgerPlace,
  { partitions }: Assignment,
): boolean {
  const first = new Map(firstRuns(entries));
  if (begun) {
    // Its rest begins where the cut says that went through it; without that cut nobody knows where.
    const isCutThere = counted.entry === ledger && counted.played === played;
    const offset = isCutThere ? positions.find((position) => keyOf(position) === keyOf(begun))?.offset : undefined;
    first.set(keyOf(begun), { topic: begun.topic, partition: begun.partition, offset: offset ?? -1 });
  }
  return [...first].every(([key, { offset }]) => {
    const ours = partitions.find((each) => keyOf(each) === key);
    return ours !== undefined && (ours.offset ?? 0) <= offset;
  });
}
