import { openCheckpointStore, readManifest } from '../../infra/index.ts';
import { engineSchema } from '../../model/settings.ts';
import { MillraceError } from '../../operators/errors.ts';
import { ingestStateIn, placeOf } from '../../operators/ingest-state.ts';
import type { Checkpoint, Logger } from '../../operators/ports.ts';
import type { JobFolder } from '../job/job-folder.ts';
import type { OpenJob } from '../job/open-job.ts';
import { regraphed } from '../job/regraph.ts';
import type { Graph } from '../spec/graph.ts';
import { trainingStream } from '../spec/streams.ts';
import { adoptedAs } from './adopt-graph.ts';
import { countsIn } from './cut-version.ts';
import { currentGraph, graphVersion, makeCurrent, readGraphOf, recordVersion, writeVersion } from './graph-history.ts';
import type { CurrentGraph } from './graph-history.ts';
import { planRedeploy } from './plan.ts';
import type { Plan } from './plan.ts';
import { savedStates } from './saved-states.ts';

export interface GoBackOptions {
  /** Under the graph that is gone back from; its stream that trains does not run any more. */
  readonly job: OpenJob;
  /** Version that is gone back to. */
  readonly to: number;
  readonly reason: string;
  readonly onWarning: (message: string) => void;
}

export interface GoneBack {
  readonly job: OpenJob;
  /** Streams beside the training that are to be built anew. */
  readonly rebuilt: readonly string[];
  /** The cut that is gone on from. */
  readonly cut: string;
}

/**
 * Gives a job the graph back that it had before, at that graph's newest cut: what the other one has trained counts no more,
 * and is undone in the ledger, so that the same records are trained again from there. What was published meanwhile stays in
 * its topics, and what is published anew carries another name. The graph changes with one file; a process that dies at any
 * moment leaves a job of one of the two, and `finishGoingBack` does what was left to be done.
 *
 * Streams beside the training go on where they are: what was answered is answered.
 */
export async function goBack({ job: from, to, reason, onWarning }: GoBackOptions): Promise<GoneBack> {
  const { folder } = from;
  const [left, past] = await Promise.all([graphVersion(folder, from.adopted.version), graphVersion(folder, to)]);
  const graph = readGraphOf(past);
  const current = await currentGraph(folder);
  const undone = [...(current?.undone ?? []), left.version];
  const cut = await newestCut(folder, { undone }, { info: () => {}, warn: onWarning });
  const [stream, place] = placeIn(graph, cut);
  const plan = await planBeside(from, graph, stream);
  const note = `Back at cut ${cut.id}. Of version ${left.version}: ${reason}`;
  const next = await recordVersion(folder, graph, {
    how: 'rollback',
    discard: plan.discard,
    plan: null,
    outcome: 'pending',
  });
  const lineage = current?.lineage ?? 0;
  await makeCurrent(folder, { version: next.version, lineage, undone, undo: { stream, to: place } });
  await finishGoingBack(from);
  await writeVersion(folder, { ...left, outcome: 'rolled-back', note: reason });
  await writeVersion(folder, { ...next, outcome: 'live', note });
  const adopted = await adoptedAs(folder, { version: next.version, lineage, undone, undo: null });
  const engine = engineSchema.safeParse((await readManifest(cut.path)).describe['engine']).data;
  const settings = engine ? { ...from.settings, engine } : from.settings;
  const job = await regraphed({ ...from, settings }, graph, adopted, onWarning);
  return { job, rebuilt: plan.rebuilt.filter((name) => name !== stream), cut: cut.id };
}

/** Undoes in the ledger what a job has gone back from, where that is still to be done. */
export async function finishGoingBack({
  folder,
  ledgerOf,
  log,
}: Pick<OpenJob, 'folder' | 'ledgerOf' | 'log'>): Promise<void> {
  const current = await currentGraph(folder);
  if (!current?.undo) return;
  const { stream, to } = current.undo;
  await ledgerOf(stream, log).append({ kind: 'undo', to });
  await makeCurrent(folder, { ...current, undo: null });
}

async function newestCut(
  folder: JobFolder,
  current: Pick<CurrentGraph, 'undone'>,
  logger: Logger,
): Promise<Checkpoint> {
  const store = await openCheckpointStore(folder.checkpoints, { jobId: folder.id, logger, describe: {} });
  const cut = await store.latest((each) => countsIn(current, each));
  if (cut) return cut;
  throw new MillraceError(
    'checkpoint-corrupt',
    `No cut of the graph before is left in ${folder.checkpoints} to go back to. Bring one back from a copy.`,
  );
}

/** The stream that trains, and its source's place in the ledger at a cut. */
function placeIn(graph: Graph, { states }: Checkpoint): readonly [stream: string, { entry: number; played: number }] {
  const [stream = '', steps = []] = trainingStream(graph) ?? [];
  const uid = steps.find(({ kind }) => kind.kind === 'ingest')?.uid ?? '';
  const snapshot = states.get(uid);
  return [stream, snapshot ? { ...placeOf(ingestStateIn(uid, snapshot)) } : { entry: 0, played: 0 }];
}

/** What becomes of the streams that do not train: what of their state the graph before can't go on with is lost. */
async function planBeside(
  { folder, graph: from }: OpenJob,
  to: Graph,
  training: string,
): Promise<Pick<Plan, 'rebuilt'> & { readonly discard: readonly string[] }> {
  const all = await savedStates(folder, from);
  const states = new Map([...all].filter(([name]) => name !== training));
  const { rebuilt, operators } = planRedeploy({ from, to, states, discard: new Set() });
  const discard = operators.flatMap(({ uid, stream, refused }) =>
    stream === training || refused === null ? [] : [uid],
  );
  return { rebuilt, discard };
}
