import { z } from 'zod';
import { readManifest } from '../../infra/index.ts';
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
import { planRedeploy } from './plan.ts';
import type { Plan } from './plan.ts';
import { savedStates } from './saved-states.ts';

/** A job's graph as it stands in its history. */
export interface AdoptedGraph extends CurrentGraph {
  /** A cut without the states that versions after it have discarded. */
  withoutDiscarded(cut: Checkpoint): Promise<Checkpoint>;
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
    await makeCurrent(job, { version, lineage: 0 });
    return adoptedAs(job, { version, lineage: 0 });
  }
  await settlePending(job, current);
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
  const next = { version, lineage: current.lineage + (trainsAlike(plan) ? 0 : 1) };
  await beforeSwitch(from, plan);
  await makeCurrent(job, next);
  return adoptedAs(job, next);
}

/** Whether what was published behind the last cut would be said by the new graph, too; else it was another one's doing. */
function trainsAlike({ effect, settings }: Plan): boolean {
  return effect === 'live' && settings.every(({ path }) => path !== 'model.learningRate');
}

export function planRefused({ refusals }: Plan): MillraceError {
  const reasons = refusals.map((reason) => `  ${reason}`).join('\n');
  return new MillraceError('plan-refused', `This graph can't take the place of the job's:\n${reasons}\n`);
}

/** A version of a job's graph, as far as the history is written. */
export async function adoptedAs(job: JobFolder, { version, lineage }: CurrentGraph): Promise<AdoptedGraph> {
  const current = { version, lineage };
  const versions = await graphVersions(job);
  const withoutDiscardedSince: AdoptedGraph['withoutDiscardedSince'] = (made, states) => {
    // One that failed has taken nothing with it.
    const was = versions.filter(({ version, outcome }) => outcome !== 'failed' || version === current.version);
    const later = was.filter(({ version }) => version > made && version <= current.version);
    const gone = new Set(later.flatMap(({ discard }) => discard));
    return new Map([...states].filter(([uid]) => !gone.has(uid)));
  };
  return {
    ...current,
    withoutDiscardedSince,
    async withoutDiscarded(cut) {
      return { ...cut, states: withoutDiscardedSince(await versionOf(cut), cut.states) };
    },
  };
}

const LIVE = { outcome: 'live', code: null } as const;
const DIED = { outcome: 'failed', code: 'process-died' } as const;

/** Says of deployments whose process died what became of them. */
async function settlePending(job: JobFolder, { version: current }: CurrentGraph): Promise<void> {
  for (const version of await graphVersions(job)) {
    if (version.outcome !== 'pending') continue;
    const isLive = version.version === current;
    const note = `The process died while it was deployed, ${isLive ? 'behind' : 'before'} the switch.`;
    await writeVersion(job, { ...version, ...(isLive ? LIVE : DIED), note });
  }
}

const describeSchema = z.object({ graph: z.object({ version: z.int() }) });

/** The version of the graph that made a cut; 0 where it does not say. */
async function versionOf({ path }: Checkpoint): Promise<number> {
  const { describe } = await readManifest(path);
  const parsed = describeSchema.safeParse(describe);
  return parsed.success ? parsed.data.graph.version : 0;
}
