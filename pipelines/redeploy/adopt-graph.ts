import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import type { Uid } from '../../operators/flow.ts';
import type { Checkpoint } from '../../operators/ports.ts';
import type { JobFolder } from '../job/job-folder.ts';
import type { Graph } from '../spec/graph.ts';
import {
  currentGraph,
  graphVersion,
  graphVersions,
  makeCurrent,
  notePlace,
  readGraphOf,
  recordVersion,
  writeVersion,
} from './graph-history.ts';
import type { CurrentGraph } from './graph-history.ts';
import { countsIn, versionOf } from './cut-version.ts';
import { planRedeploy, trainsAlike } from './plan.ts';
import type { Plan } from './plan.ts';
import { savedStates } from './saved-states.ts';

/** A job's graph as it stands in its history. */
export interface AdoptedGraph extends CurrentGraph {
  /** A cut without the states that versions after it have discarded. */
  withoutDiscarded(cut: Checkpoint): Promise<Checkpoint>;
  /** Whether a cut of the stream that trains is one that the job goes on from. */
  counts(cut: Pick<Checkpoint, 'path'>): Promise<boolean>;
  /** The same of the states that a version has left, which are not stored yet. */
  withoutDiscardedSince<T>(version: number, states: ReadonlyMap<Uid, T>): ReadonlyMap<Uid, T>;
}

export interface AdoptOptions {
  readonly job: JobFolder;
  readonly graph: Graph;
  readonly discard: readonly Uid[];
  /** Told of a plan that changes something, before it is carried out. */
  readonly onPlan: (plan: Plan) => void;
  /** Awaited when a plan is carried out, before the graph is the job's. */
  readonly beforeSwitch: (from: Graph, plan: Plan) => Promise<void>;
}

/**
 * Makes a graph the graph of a job that does not run: the first of a new job, or one that the plan lets take the place of
 * the last. Rejects with `plan-refused`, and leaves the job as it was.
 */
export async function adoptGraph({ job, graph, discard, onPlan, beforeSwitch }: AdoptOptions): Promise<AdoptedGraph> {
  const current = await currentGraph(job);
  if (!current) {
    const { version } = await recordVersion(job, graph, { how: 'up', discard: [], plan: null, outcome: 'live' });
    const first = { version, lineage: 0, undone: [], undo: null };
    await makeCurrent(job, first);
    return adoptedAs(job, first);
  }
  await settleHistory(job, current);
  const from = readGraphOf(await graphVersion(job, current.version));
  const plan = planRedeploy({ from, to: graph, states: await savedStates(job, from), discard: new Set(discard) });
  if (plan.outcome === 'refused') throw planRefused(plan);
  if (plan.outcome === 'nothing') {
    await notePlace(job, current.version, graph);
    return adoptedAs(job, current);
  }
  onPlan(plan);
  const about = {
    how: 'up',
    discard,
    plan: z.json().parse(JSON.parse(JSON.stringify(plan))),
    outcome: 'live',
  } as const;
  const { version } = await recordVersion(job, graph, about);
  const next = { ...current, version, lineage: current.lineage + (trainsAlike(plan) ? 0 : 1) };
  await beforeSwitch(from, plan);
  await makeCurrent(job, next);
  await settleHistory(job, next);
  return adoptedAs(job, next);
}

export function planRefused({ refusals }: Plan): MillraceError {
  const reasons = refusals.map((reason) => `  ${reason}`).join('\n');
  return new MillraceError('plan-refused', `This graph can't take the place of the job's:\n${reasons}\n`);
}

/** A version of a job's graph, as far as the history is written. */
export async function adoptedAs(job: JobFolder, current: CurrentGraph): Promise<AdoptedGraph> {
  const { version, lineage, undone, undo } = current;
  const versions = await graphVersions(job);
  const withoutDiscardedSince: AdoptedGraph['withoutDiscardedSince'] = (made, states) => {
    // One that failed, or was gone back from, has taken nothing with it.
    const was = versions.filter((each) => each.outcome !== 'failed' || each.version === version);
    const stood = was.filter((each) => !undone.includes(each.version));
    const later = stood.filter((each) => each.version > made && each.version <= version);
    const gone = new Set(later.flatMap(({ discard }) => discard));
    return new Map([...states].filter(([uid]) => !gone.has(uid)));
  };
  return {
    version,
    lineage,
    undone,
    undo,
    withoutDiscardedSince,
    async withoutDiscarded(cut) {
      return { ...cut, states: withoutDiscardedSince(await versionOf(cut), cut.states) };
    },
    counts: (cut) => countsIn(current, cut),
  };
}

const LIVE = { outcome: 'live', code: null } as const;
const WATCHING = { outcome: 'watching', code: null } as const;
const DIED = { outcome: 'failed', code: 'process-died' } as const;

/** Says of deployments whose process died, and of watches that nobody goes on with, what became of them. */
async function settleHistory(job: JobFolder, { version: current, undone }: CurrentGraph): Promise<void> {
  for (const version of await graphVersions(job)) {
    const { outcome, watch } = version;
    const isLive = version.version === current;
    if (outcome === 'pending') {
      const note = `The process died while it was deployed, ${isLive ? 'behind' : 'before'} the switch.`;
      await writeVersion(job, { ...version, ...(isLive ? (watch ? WATCHING : LIVE) : DIED), note });
    } else if (outcome === 'watching' && !isLive) {
      const isUndone = undone.includes(version.version);
      const note = isUndone
        ? (watch?.verdict ?? null)
        : 'Another graph took its place before it was watched to the end.';
      await writeVersion(job, { ...version, outcome: isUndone ? 'rolled-back' : 'live', note });
    }
  }
}
