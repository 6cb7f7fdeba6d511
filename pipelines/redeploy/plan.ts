import type { Uid } from '../../operators/flow.ts';
import type { Position } from '../../operators/ports.ts';
import type { Snapshot } from '../../operators/types.ts';
import { graphHash } from '../spec/graph.ts';
import type { Graph } from '../spec/graph.ts';
import { planSettings } from './plan-settings.ts';
import type { SettingRow } from './plan-settings.ts';
import { planOperators } from './plan-operators.ts';
import type { OperatorRow } from './plan-operators.ts';

/**
 * What a change takes, from nothing to most: settings told to operators that run, settings told to the trainer at a cut,
 * streams built anew over a cut, or a job that is stopped and started again.
 */
export type Effect = 'none' | 'live' | 'cut' | 'rebuild' | 'restart';

const EFFECTS: readonly Effect[] = ['none', 'live', 'cut', 'rebuild', 'restart'];

/** What becomes of a job when its graph is replaced by another, before anything happens. */
export interface Plan {
  readonly from: string;
  readonly to: string;
  readonly outcome: 'nothing' | 'changes' | 'refused';
  readonly effect: Effect;
  /** An operator each; those that stay as they are among them. */
  readonly operators: readonly OperatorRow[];
  /** Settings of the graph that differ. */
  readonly settings: readonly SettingRow[];
  /** Streams that are built anew. */
  readonly rebuilt: readonly string[];
  /** What must be compiled before the new graph takes its first step. */
  readonly warmUp: readonly string[];
  /** Why the whole can't be done; empty unless refused. */
  readonly refusals: readonly string[];
}

/** States of the newest cut of each stream, by the stream's name. */
export type States = ReadonlyMap<string, ReadonlyMap<Uid, Snapshot>>;

export interface PlanInput {
  readonly from: Graph;
  readonly to: Graph;
  readonly states: States;
  /** Uids whose state may be lost, and `UID.PART` where it is a part of it. */
  readonly discard: ReadonlySet<Uid>;
}

/** An ingest's position, or where it begins. */
export interface OffsetRow {
  readonly topic: string;
  readonly partition: number | null;
  readonly offset: Position['offset'] | 'earliest' | 'latest' | 'dropped';
}

/** A pure function by the rules of README ("Change the graph"), which are those of Flink's savepoints made explicit. */
export function planRedeploy(input: PlanInput): Plan {
  const { from, to, discard } = input;
  const operators = planOperators(input);
  const settings = planSettings(input);
  const rows = [...operators, ...settings];
  const used = new Set(operators.flatMap(({ discards }) => discards));
  const refusals = [
    ...operators.flatMap(({ uid, refused }) => (refused === null ? [] : [`${uid}: ${refused}`])),
    ...settings.flatMap(({ path, refused }) => (refused === null ? [] : [`${path}: ${refused}`])),
    ...[...discard]
      .filter((name) => !used.has(name))
      .map((name) => `--discard ${name}: it has no state that would be lost.`),
  ];
  const effect = most(rows.map((row) => row.effect));
  const changed = effect !== 'none';
  return {
    from: graphHash(from),
    to: graphHash(to),
    outcome: refusals.length > 0 ? 'refused' : changed ? 'changes' : 'nothing',
    effect,
    operators,
    settings,
    rebuilt: rebuiltStreams(input, operators, settings),
    warmUp: [...new Set(rows.flatMap(({ warmUp }) => (warmUp === null ? [] : [warmUp])))],
    refusals,
  };
}

/** Whether a stream goes on from a cut: built anew, or with a trainer that was told something. */
export function isHandedOver({ rebuilt, settings }: Plan, stream: string): boolean {
  return (
    rebuilt.includes(stream) || settings.some(({ effect, streams }) => effect === 'cut' && streams.includes(stream))
  );
}

/** Whether the new graph trains as the old one did: what that published behind its last cut would be said again. */
export function trainsAlike({ effect }: Plan): boolean {
  return effect === 'none' || effect === 'live';
}

function most(effects: readonly Effect[]): Effect {
  return EFFECTS.findLast((effect) => effects.includes(effect)) ?? 'none';
}

function rebuiltStreams(
  { from, to }: PlanInput,
  operators: readonly OperatorRow[],
  settings: readonly SettingRow[],
): readonly string[] {
  const names = [...new Set([...Object.keys(from.streams), ...Object.keys(to.streams)])];
  const touched = new Set([
    ...operators.filter(({ effect }) => effect === 'rebuild').map(({ stream }) => stream),
    ...settings.filter(({ effect }) => effect === 'rebuild').flatMap(({ streams }) => streams),
  ]);
  return names.filter((name) => touched.has(name));
}
