import { z } from 'zod';
import { presets } from '../../model/presets.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Json } from '../../operators/types.ts';
import type { Beside } from '../job/beside.ts';
import { createTopics } from '../job/create-topics.ts';
import type { JobEvent } from '../job/events.ts';
import type { OpenJob } from '../job/open-job.ts';
import { regraphed } from '../job/regraph.ts';
import type { BatchShape, TrainerSeat } from '../job/trainer-seat.ts';
import type { HandOver, Training } from '../job/training.ts';
import type { Graph } from '../spec/graph.ts';
import { lintGraph } from '../spec/lint.ts';
import { trainingStream } from '../spec/streams.ts';
import { adoptedAs, planRefused } from './adopt-graph.ts';
import { makeCurrent, recordVersion, writeVersion } from './graph-history.ts';
import type { GraphVersion } from './graph-history.ts';
import { planRedeploy } from './plan.ts';
import type { Plan } from './plan.ts';
import { savedStates } from './saved-states.ts';
import { dropOldDeployCuts } from './deploy-cuts.ts';
import { undoBeyond } from './undo-beyond.ts';

export interface DeployerOptions {
  readonly job: OpenJob;
  readonly training: Training;
  readonly beside: Beside;
  readonly seat: TrainerSeat;
  /** Told of the job under the graph that has just become its graph. */
  readonly onDeployed: (job: OpenJob) => void;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
}

/** What a deployment asks for. */
export interface DeployRequest {
  /** As `graphDocument` gives it. */
  readonly graph: Json;
  readonly discard: readonly string[];
  readonly how: 'deploy' | 'rollback';
  /** Version that the job must still have; any where it is absent. */
  readonly expectedVersion?: number | undefined;
  /** Who asks; the user of this process where it is absent. */
  readonly by?: string | undefined;
  /** Name of the request, which the history keeps. */
  readonly request?: string | undefined;
}

/** What became of it. */
export interface Deployed {
  readonly outcome: 'nothing' | 'live';
  readonly version: number;
  /** From the last step of the old graph to the first of the new one; null where there was nothing to pause. */
  readonly pauseMs: number | null;
  /** The cut at which one took the other's place. */
  readonly cut: string | null;
}

export const deployRequestSchema: z.ZodType<DeployRequest> = z.strictObject({
  graph: z.json(),
  discard: z.array(z.string()),
  how: z.enum(['deploy', 'rollback']),
  expectedVersion: z.int().positive().optional(),
  by: z.string().optional(),
  request: z.string().optional(),
});

/**
 * Lets a running job take another graph: checked and planned first, then built and warmed up beside the running one, then
 * handed over at one cut. Which graph the job has changes with one file, between the cut of the old graph and the first
 * deed of the new one; so a process that dies at any moment leaves a job of exactly one of the two.
 */
export class Deployer {
  readonly #options: DeployerOptions;
  #job: OpenJob;
  #isBusy = false;

  constructor(options: DeployerOptions) {
    this.#options = options;
    this.#job = options.job;
  }

  /** The job under the graph that it has now. */
  get job(): OpenJob {
    return this.#job;
  }

  /**
   * Rejects with `graph-invalid`, `plan-refused`, `version-changed` or `job-busy`, and with whatever keeps the new graph from
   * going on.
   */
  async deploy(request: DeployRequest, tell: (progress: Json) => void): Promise<Deployed> {
    if (this.#isBusy)
      throw new MillraceError('job-busy', 'A deployment is under way already. Ask again when it is done.');
    this.#isBusy = true;
    try {
      return await this.#deploy(request, tell);
    } finally {
      this.#isBusy = false;
    }
  }

  async #deploy(asked: DeployRequest, tell: (progress: Json) => void): Promise<Deployed> {
    const { discard, how, by, request } = asked;
    const from = this.#job;
    requireVersion(from.adopted.version, asked.expectedVersion);
    const graph = checked(asked.graph);
    const states = await savedStates(from.folder, from.graph);
    const plan = planRedeploy({ from: from.graph, to: graph, states, discard: new Set(discard) });
    if (plan.outcome === 'nothing') {
      return { outcome: 'nothing', version: from.adopted.version, pauseMs: null, cut: null };
    }
    if (plan.outcome === 'refused') throw planRefused(plan);
    requireRunning(from, graph, plan);
    const who = { ...(by === undefined ? {} : { by }), ...(request === undefined ? {} : { request }) };
    const about = { how, discard, plan: toJson(plan), outcome: 'pending', ...who } as const;
    const version = await recordVersion(from.folder, graph, about);
    tell({ phase: 'planned', version: version.version });
    try {
      const deployed = await this.#carryOut(plan, version, graph, tell);
      await writeVersion(from.folder, { ...version, outcome: 'live', pauseMs: deployed.pauseMs });
      return deployed;
    } catch (error) {
      await this.#options.seat.dismiss();
      const note = error instanceof Error ? error.message : String(error);
      const code = error instanceof MillraceError ? error.code : null;
      await writeVersion(from.folder, { ...version, outcome: 'failed', note, code });
      throw error;
    }
  }

  async #carryOut(
    plan: Plan,
    { version }: GraphVersion,
    graph: Graph,
    tell: (progress: Json) => void,
  ): Promise<Deployed> {
    const { beside, onEvent, onWarning } = this.#options;
    const from = this.#job;
    await createTopics(from.log, graph, onWarning);
    const adopted = await adoptedAs(from.folder, { ...from.adopted, version });
    const job = await regraphed(from, graph, adopted, onWarning);
    const [training = ''] = trainingStream(graph) ?? [];
    const switched = isHandedOver(plan, training) ? await this.#handOver(plan, job, tell) : null;
    if (!switched) await makeCurrent(from.folder, { version, lineage: from.adopted.lineage });
    this.#job = job;
    this.#options.onDeployed(job);
    const others = plan.rebuilt.filter((name) => name !== training);
    await beside.end(others);
    beside.start(job, others);
    const { pauseMs = null, cut = null } = switched ?? {};
    onEvent({ event: 'deployment', stream: training, outcome: 'deployed', version, pauseMs });
    return { outcome: 'live', version, pauseMs, cut };
  }

  /** Resolves after the first step of the new graph. */
  async #handOver(
    plan: Plan,
    job: OpenJob,
    tell: (progress: Json) => void,
  ): Promise<{ readonly pauseMs: number | null; readonly cut: string }> {
    const { training, seat, onWarning } = this.#options;
    const from = this.#job;
    // Batches that wait at the cut still have the shape of the graph before.
    await seat.prepare(job.settings, [shapeOf(from), shapeOf(job)], plan.warmUp.length === 0);
    tell({ phase: 'warm' });
    const [stream = ''] = trainingStream(job.graph) ?? [];
    const pace = paceOf(plan, stream, seat.hasSuccessor);
    let cut = '';
    const cutsStay = (error: unknown): void => onWarning(`Old cuts of deployments stay: ${String(error)}`);
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(error instanceof Error ? error : new Error(String(error)));
      try {
        training.handOver({
          job,
          pace,
          async commit(report) {
            cut = report.id;
            await undoBeyond(from, plan);
            await makeCurrent(from.folder, { version: job.adopted.version, lineage: from.adopted.lineage });
            tell({ phase: 'cut', cut });
          },
          async revert(error) {
            await makeCurrent(from.folder, { version: from.adopted.version, lineage: from.adopted.lineage });
            fail(error);
          },
          done(pauseMs) {
            dropOldDeployCuts(job.folder, cut, job.champions.held).catch(cutsStay);
            resolve({ pauseMs, cut });
          },
          abandon: fail,
        });
      } catch (error) {
        fail(error);
      }
    });
  }
}

function checked(document: Json): Graph {
  const { graph, findings } = lintGraph(JSON.stringify(document), { runsPacked: true });
  if (graph) return graph;
  const reasons = findings.map(({ code, path, message }) => `  ${code} at ${path}: ${message}`).join('\n');
  throw new MillraceError('graph-invalid', `The graph can't run:\n${reasons}\n`);
}

/** Two who change the same graph would undo each other's work. */
function requireVersion(version: number, expected: number | undefined): void {
  if (expected === undefined || expected === version) return;
  throw new MillraceError(
    'version-changed',
    `The job has version ${version} of its graph, not ${expected}: somebody else was quicker. Look at it, and ask again.`,
  );
}

/** What can't be done without a restart. */
function requireRunning({ graph: from, membership }: OpenJob, to: Graph, { settings }: Plan): void {
  const paths = settings.filter(({ effect }) => effect === 'restart').map(({ path }) => path);
  if (trainingStream(from)?.[0] !== trainingStream(to)?.[0]) paths.push('which stream trains');
  if (membership) paths.push('its graph while it shares its topics with a group');
  if (paths.length === 0) return;
  throw new MillraceError(
    'plan-refused',
    `A job that runs can't change ${paths.join(', ')}. Stop it, and start it again with the changed graph: millrace up.`,
  );
}

/** Whether the stream that trains is handed over at a cut: where it is built anew, or something is told to its trainer. */
function isHandedOver({ rebuilt, settings }: Plan, training: string): boolean {
  const isTold = settings.some(({ path }) => path === 'model.learningRate');
  return training !== '' && (rebuilt.includes(training) || isTold);
}

/**
 * A stream that is not built anew has something told to its trainer. One that is begins at once where all that the graph
 * before has left is of use to it as it is; another trainer has to read it first.
 */
function paceOf({ rebuilt, operators }: Plan, stream: string, hasSuccessor: boolean): HandOver['pace'] {
  if (!rebuilt.includes(stream)) return 'told';
  const isMigrated = operators.some((row) => row.stream === stream && row.action === 'migrated');
  return hasSuccessor || isMigrated ? 'stored' : 'at-once';
}

const shapeSchema = z.object({ rows: z.int().optional(), context: z.int().optional(), isolate: z.boolean() });

/** Shape of the batches that a job's graph trains on. */
function shapeOf({ graph }: OpenJob): BatchShape {
  const { batchRows, model } = presets[graph.model.preset];
  const [, steps = []] = trainingStream(graph) ?? [];
  const batch = steps.find(({ kind }) => kind.kind === 'batch');
  const {
    rows = batchRows,
    context = model.maxContext,
    isolate,
  } = shapeSchema.parse(batch?.config ?? { isolate: false });
  return { rows, context, isolate };
}

function toJson(plan: Plan): Json {
  return z.json().parse(JSON.parse(JSON.stringify(plan)));
}
