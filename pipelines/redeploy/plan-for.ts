import { MillraceError } from '../../operators/errors.ts';
import type { Uid } from '../../operators/flow.ts';
import type { JobFolder } from '../job/job-folder.ts';
import type { Graph } from '../spec/graph.ts';
import { currentGraph, graphVersion, readGraphOf } from './graph-history.ts';
import { planRedeploy } from './plan.ts';
import type { Plan } from './plan.ts';
import { savedStates } from './saved-states.ts';

/** What would become of a job, whether it runs or not, under another graph. Changes nothing. */
export async function planFor(job: JobFolder, to: Graph, discard: readonly Uid[]): Promise<Plan> {
  const current = await currentGraph(job);
  if (!current) {
    throw new MillraceError(
      'bad-usage',
      `Job ${job.id} was begun by a version of Millrace that did not note its graph. Start it once with millrace up.`,
    );
  }
  const from = readGraphOf(await graphVersion(job, current.version));
  return planRedeploy({ from, to, states: await savedStates(job, from), discard: new Set(discard) });
}
