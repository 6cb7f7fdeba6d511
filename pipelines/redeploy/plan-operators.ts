import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Uid } from '../../operators/flow.ts';
import type { Migration } from '../../operators/kind.ts';
import type { Snapshot } from '../../operators/types.ts';
import type { Graph, Step } from '../spec/graph.ts';
import { batchShapeOf } from '../spec/preset-of.ts';
import { modelChange } from './model-change.ts';
import type { Effect, OffsetRow, PlanInput } from './plan.ts';

export type Action =
  | 'kept'
  /** Other settings over the same state. */
  | 'reconfigured'
  /** A part of its state goes on, the rest begins or ends. */
  | 'migrated'
  | 'new'
  /** Had no state to lose. */
  | 'removed'
  | 'discarded';

/** What becomes of one operator and its state. */
export interface OperatorRow {
  readonly stream: string;
  readonly uid: Uid;
  readonly kind: string;
  readonly action: Action;
  /** In words: `kept`, `none`, `starts empty`, `lost`. */
  readonly state: string;
  readonly effect: Effect;
  readonly reasons: readonly string[];
  /** What `--discard` must name for it to be done, or has named. */
  readonly discards: readonly string[];
  readonly offsets: readonly OffsetRow[];
  readonly warmUp: string | null;
  /** Why this can't be done, and what to do instead. */
  readonly refused: string | null;
}

interface Place {
  readonly stream: string;
  readonly step: Step;
}

type Verdict = Omit<OperatorRow, 'stream' | 'uid' | 'kind' | 'offsets'>;

/** What is compiled into the step: another value of one of these makes another program. */
const COMPILED: ReadonlySet<string> = new Set(['rows', 'context', 'isolate']);

/** A row for each operator of either graph: those of the new one in their order, then those that are gone. */
export function planOperators(input: PlanInput): readonly OperatorRow[] {
  const [before, after] = [placesOf(input.from), placesOf(input.to)];
  const moved = movedUids(input);
  const row = (uid: Uid, { stream, step }: Place, verdict: Verdict): OperatorRow => {
    const offsets = offsetsOf(before.get(uid), after.get(uid), stateOf(input, before.get(uid)));
    return { stream, uid, kind: step.kind.kind, offsets, ...verdict };
  };
  const staying = [...after].map(([uid, place]) => row(uid, place, judge(input, moved, uid, before.get(uid), place)));
  const gone = [...before].filter(([uid]) => !after.has(uid));
  return [...staying, ...gone.map(([uid, place]) => row(uid, place, judgeRemoval(input, uid, place)))];
}

const FREE: Verdict = {
  action: 'kept',
  state: 'none',
  effect: 'none',
  reasons: [],
  discards: [],
  warmUp: null,
  refused: null,
};

function judgeRemoval(input: PlanInput, uid: Uid, place: Place): Verdict {
  const { state } = place.step.kind;
  if (!stateOf(input, place)) return { ...FREE, action: 'removed', effect: 'rebuild' };
  return loss(input, uid, `It is gone, and its state (${state ?? 'of another kind'}) would be lost.`);
}

/** State that would be lost: refused, unless it was named. */
function loss({ discard }: PlanInput, uid: Uid, reason: string, state = 'lost'): Verdict {
  const lost: Verdict = { ...FREE, action: 'discarded', state, effect: 'rebuild', discards: [uid] };
  if (discard.has(uid)) return { ...lost, reasons: [reason] };
  return { ...lost, refused: `${reason} Give it back as it was, or say --discard ${uid}.` };
}

function judge(input: PlanInput, moved: ReadonlySet<Uid>, uid: Uid, before: Place | undefined, after: Place): Verdict {
  const { kind } = after.step;
  const empty = kind.state === null ? 'none' : 'starts empty';
  if (!before) return { ...FREE, action: 'new', state: empty, effect: 'rebuild', ...warmUpOf(kind.kind) };
  const { kind: oldKind } = before.step;
  const snapshot = stateOf(input, before);
  if (oldKind.kind !== kind.kind) {
    const reason = `It was ${oldKind.kind} and is ${kind.kind} now.`;
    if (snapshot) return loss(input, uid, `${reason} Its state can't go on in another kind.`, `lost; ${empty}`);
    return { ...FREE, action: 'new', state: empty, effect: 'rebuild', reasons: [reason], ...warmUpOf(kind.kind) };
  }
  if (before.stream !== after.stream) {
    const reason = `It was in stream "${before.stream}".`;
    if (snapshot) return loss(input, uid, `${reason} Each stream has cuts of its own.`, `lost; ${empty}`);
    return { ...FREE, action: 'reconfigured', state: empty, effect: 'rebuild', reasons: [reason] };
  }
  if (snapshot && input.discard.has(uid)) return loss(input, uid, 'Asked for.', 'lost; starts empty');
  try {
    return judgeSettings(input, moved.has(uid), before.step, after.step, snapshot);
  } catch (error) {
    if (kind.code === null) throw error;
    const refused = `Its code can't take over its state: ${String(error)}. Mend it, or say --discard ${uid}.`;
    return { ...FREE, effect: 'rebuild', refused };
  }
}

/** The same kind at the same uid in the same stream. */
function judgeSettings(
  input: PlanInput,
  isMoved: boolean,
  before: Step,
  after: Step,
  snapshot: Snapshot | undefined,
): Verdict {
  const { uid, kind } = after;
  const state = snapshot ? 'kept' : kind.state === null ? 'none' : 'starts empty';
  const changed = changedKeys(before.config, after.config);
  const model = modelChange(input.from, input.to);
  const hasOtherTokens = !isDeepStrictEqual(input.from.tokenizer, input.to.tokenizer);
  const change = { uid, from: before.config, to: after.config, model, hasOtherTokens };
  const migration = snapshot ? kind.migrationOf({ ...change, snapshot }) : null;
  const isRecoded = before.kind.code !== kind.code;
  if (changed.length === 0 && !isMoved && !isRecoded && !migration) return { ...FREE, state };
  const reasons = [
    ...(isMoved ? ['Moved; its state follows the uid.'] : []),
    ...(isRecoded ? [`Its code changed (${before.kind.code} → ${kind.code}).`] : []),
    ...changed.map(({ key, from, to: value }) => `${key}: ${shown(from)} → ${shown(value)}`),
  ];
  const misfit = snapshot && kind.refusalOf(snapshot.state, after.config, batchShapeOf(input.to.model));
  const compiles = changed.some(({ key }) => kind.kind === 'batch' && COMPILED.has(key));
  const isTold = kind.isTold && !isMoved && !isRecoded && !migration;
  return {
    action: migration ? 'migrated' : changed.length > 0 || isRecoded ? 'reconfigured' : 'kept',
    state: migration?.does ?? state,
    effect: isTold ? 'live' : 'rebuild',
    reasons,
    discards: (migration?.loses ?? []).map(({ part }) => `${uid}.${part}`),
    warmUp: compiles ? 'the training step, for batches of another shape' : null,
    refused: misfit
      ? `Its state can't go on: ${misfit}. Set it back, or try again a moment later.`
      : migration
        ? refusalOf(input, uid, migration)
        : null,
  };
}

function refusalOf({ discard }: PlanInput, uid: Uid, { refused, loses }: Migration): string | null {
  const lost = loses.filter(({ part }) => !discard.has(`${uid}.${part}`));
  if (refused !== null || lost.length === 0) return refused;
  const what = lost.map((each) => each.what).join(', ');
  const flags = lost.map(({ part }) => `--discard ${uid}.${part}`).join(' ');
  return `${what} would be lost. Give it back as it was, or say ${flags}.`;
}

function warmUpOf(kindName: string): Pick<Verdict, 'warmUp'> {
  return { warmUp: kindName === 'trainStep' ? 'the training step, of a new trainer' : null };
}

function placesOf({ streams }: Graph): ReadonlyMap<Uid, Place> {
  return new Map(
    Object.entries(streams).flatMap(([stream, steps]) => steps.map((step) => [step.uid, { stream, step }])),
  );
}

function stateOf({ states }: PlanInput, place: Place | undefined): Snapshot | undefined {
  return place && states.get(place.stream)?.get(place.step.uid);
}

/** Those that have another place among the operators of their stream which both graphs have. */
function movedUids({ from, to }: PlanInput): ReadonlySet<Uid> {
  const moved = Object.entries(to.streams).flatMap(([name, steps]) => {
    const old = (from.streams[name] ?? []).map(({ uid }) => uid);
    const common = steps.map(({ uid }) => uid).filter((uid) => old.includes(uid));
    const oldCommon = old.filter((uid) => common.includes(uid));
    return common.filter((uid, at) => oldCommon[at] !== uid);
  });
  return new Set(moved);
}

const configSchema = z.record(z.string(), z.unknown());

function changedKeys(from: unknown, to: unknown): readonly { key: string; from: unknown; to: unknown }[] {
  const [before, after] = [configSchema.parse(from), configSchema.parse(to)];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys
    .filter((key) => !isDeepStrictEqual(before[key], after[key]))
    .map((key) => ({ key, from: before[key], to: after[key] }));
}

/** A setting as people write it. */
export function shown(value: unknown): string {
  return value === undefined ? 'not set' : typeof value === 'string' ? value : JSON.stringify(value);
}

const ingestSchema = z.object({ topics: z.array(z.string()), from: z.enum(['earliest', 'latest']) });

/** Where a source goes on: offsets belong to its uid and to the topic. */
function offsetsOf(
  before: Place | undefined,
  after: Place | undefined,
  snapshot: Snapshot | undefined,
): readonly OffsetRow[] {
  const wanted = after?.step.kind.kind === 'ingest' ? ingestSchema.parse(after.step.config) : null;
  const known = before && snapshot ? before.step.kind.positionsIn(before.step.uid, snapshot) : [];
  const goesOn = before?.stream === after?.stream;
  const rows = known.map(({ topic, partition, offset }): OffsetRow => {
    const isKept = goesOn && wanted?.topics.includes(topic);
    return { topic, partition, offset: isKept ? offset : 'dropped' };
  });
  const fresh = (wanted?.topics ?? []).filter(
    (topic) => !goesOn || known.every((position) => position.topic !== topic),
  );
  return [
    ...rows,
    ...fresh.map((topic): OffsetRow => ({ topic, partition: null, offset: wanted?.from ?? 'earliest' })),
  ];
}
