import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import type { Json } from '../../operators/types.ts';
import { toMs } from '../../operators/units.ts';
import { shapeOf } from '../job/batch-shape.ts';
import type { Beside } from '../job/beside.ts';
import { createTopics } from '../job/create-topics.ts';
import type { JobEvent } from '../job/events.ts';
import type { HandOver } from '../job/hand-over.ts';
import type { JobReports } from '../job/job-reports.ts';
import type { OpenJob } from '../job/open-job.ts';
import { regraphed } from '../job/regraph.ts';
import type { TrainerSeat } from '../job/trainer-seat.ts';
import type { Training } from '../job/training.ts';
import { partialBarsSchema, withBars } from '../spec/deploy.ts';
import type { Bars } from '../spec/deploy.ts';
import { graphHash } from '../spec/graph.ts';
import type { Graph } from '../spec/graph.ts';
import { lintGraph } from '../spec/lint.ts';
import { trainingStream } from '../spec/streams.ts';
import { adoptedAs, planRefused } from './adopt-graph.ts';
import { currentGraph, graphVersion, makeCurrent, recordVersion, writeVersion } from './graph-history.ts';
import type { CurrentGraph, GraphVersion } from './graph-history.ts';
import { isHandedOver, planRedeploy } from './plan.ts';
import type { Plan } from './plan.ts';
import { savedStates } from './saved-states.ts';
import { dropOldDeployCuts } from './deploy-cuts.ts';
import type { Comparison } from './shadow/comparison.ts';
import { atMostOften, requireComparable, shadowRequestSchema } from './shadow/shadow-request.ts';
import type { ShadowRequest } from './shadow/shadow-request.ts';
import { runShadow } from './shadow/shadow.ts';
import { undoBeyond } from './undo-beyond.ts';
import type { Stability } from './watch/stability.ts';
import { beginWatch } from './watch/watch.ts';
import type { WatchState } from './watch/watch.ts';

export interface DeployerOptions {
  readonly job: OpenJob;
  readonly training: Training;
  readonly beside: Beside;
  readonly seat: TrainerSeat;
  readonly stability: Stability;
  readonly reports: JobReports;
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
  /** How long it is watched; as the graph says if absent, not at all where that says nothing. */
  readonly watchMs?: number | undefined;
  /** Go before those of the graph. */
  readonly bars?: Partial<Bars> | undefined;
  /** Waits for the end of the watch. */
  readonly follow?: boolean | undefined;
}

/** What became of it. */
export interface Deployed {
  /** Watched, where nobody waits for the end of the watch. */
  readonly outcome: 'nothing' | 'watching' | 'live' | 'rolled-back';
  readonly version: number;
  /** From the last step of the old graph to the first of the new one; null where there was nothing to pause. */
  readonly pauseMs: number | null;
  /** The cut at which one took the other's place. */
  readonly cut: string | null;
  /** How the watch ended. */
  readonly note: string | null;
}

export const deployRequestSchema: z.ZodType<DeployRequest> = z.strictObject({
  graph: z.json(),
  discard: z.array(z.string()),
  how: z.enum(['deploy', 'rollback']),
  expectedVersion: z.int().positive().optional(),
  by: z.string().optional(),
  request: z.string().optional(),
  watchMs: z.number().nonnegative().optional(),
  bars: partialBarsSchema.optional(),
  follow: z.boolean().optional(),
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
  /** Settles when the newest deployment is through with all streams. */
  #carriedOut: Promise<unknown> = Promise.resolve();
  #shadow: Promise<Comparison> | null = null;

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
    this.#requireFree();
    this.#isBusy = true;
    let deployed: Deployed;
    try {
      deployed = await this.#deploy(request, tell);
    } finally {
      this.#isBusy = false;
    }
    if (deployed.outcome !== 'watching' || request.follow !== true) return deployed;
    tell({ phase: 'watched', version: deployed.version, pauseMs: deployed.pauseMs, cut: deployed.cut });
    const end = await this.#options.stability.follow(this.#job, deployed.version, tell);
    return { ...deployed, ...end };
  }

  /**
   * Lets a graph train beside the one that runs, and compares the two. Rejects as `deploy` does; `bad-usage` where there is
   * nothing to compare.
   */
  async shadow(input: Json, tell: (progress: Json) => void, signal: AbortSignal): Promise<Json> {
    const request = shadowRequestSchema.parse(input);
    this.#requireFree();
    this.#isBusy = true;
    this.#shadow = this.#runShadow(request, tell, signal).finally(() => (this.#isBusy = false));
    return z.json().parse({ ...(await this.#shadow) });
  }

  /** Resolves when no shadow runs any more; who has asked for it is gone. */
  async close(): Promise<void> {
    await this.#shadow?.catch(() => undefined);
  }

  /** Goes on with what a process before this one has left under way. */
  resume(): Promise<void> {
    return this.#options.stability.resume(this.#job, (job) => (this.#job = job));
  }

  async #deploy(asked: DeployRequest, tell: (progress: Json) => void): Promise<Deployed> {
    const { discard, how, by, request } = asked;
    const from = this.#job;
    requireVersion(from.adopted.version, asked.expectedVersion);
    const graph = checked(asked.graph);
    if (this.#options.stability.version) return this.#endWatch(graph, asked);
    const states = await savedStates(from.folder, from.graph);
    const plan = planRedeploy({ from: from.graph, to: graph, states, discard: new Set(discard) });
    if (plan.outcome === 'nothing') {
      return { outcome: 'nothing', version: from.adopted.version, pauseMs: null, cut: null, note: null };
    }
    if (plan.outcome === 'refused') throw planRefused(plan);
    requireRunning(from, graph, plan);
    const who = { ...(by === undefined ? {} : { by }), ...(request === undefined ? {} : { request }) };
    const watch = watchOf(graph, asked, from.adopted.version);
    const about = { how, discard, plan: toJson(plan), outcome: 'pending', watch, ...who } as const;
    const version = await recordVersion(from.folder, graph, about);
    tell({ phase: 'planned', version: version.version });
    try {
      const carriedOut = this.#carryOut(plan, version, graph, tell);
      this.#carriedOut = carriedOut.catch(() => undefined);
      const deployed = await carriedOut;
      const { outcome, pauseMs } = deployed;
      if (outcome === 'live') await writeVersion(from.folder, { ...version, outcome, pauseMs, watch: null });
      return deployed;
    } catch (error) {
      await this.#options.seat.dismiss();
      const note = error instanceof Error ? error.message : String(error);
      const code = error instanceof MillraceError ? error.code : null;
      // Behind the switch it is the job's graph all the same; the next start says so.
      const isCurrent = (await currentGraph(from.folder))?.version === version.version;
      if (!isCurrent) await writeVersion(from.folder, { ...version, outcome: 'failed', note, code });
      throw error;
    }
  }

  async #runShadow(request: ShadowRequest, tell: (progress: Json) => void, signal: AbortSignal): Promise<Comparison> {
    const { training, reports, stability, onWarning } = this.#options;
    const job = this.#job;
    const graph = checked(request.graph);
    if (stability.version) throw watchUnderWay(stability.version);
    const states = await savedStates(job.folder, job.graph);
    const plan = planRedeploy({ from: job.graph, to: graph, states, discard: new Set(request.discard) });
    if (plan.outcome === 'refused') throw planRefused(plan);
    requireRunning(job, graph, plan);
    requireComparable(plan, graph);
    return runShadow({
      job,
      candidate: await regraphed(job, graph, job.adopted, onWarning),
      discard: request.discard,
      steps: request.steps,
      bars: withBars(graph.deploy?.bars, request.bars),
      elements: training.elements,
      letters: reports.letters,
      requestCut: () => training.requestCut(),
      logger: reports.logger,
      tell: atMostOften(tell),
      signal,
    });
  }

  #requireFree(): void {
    if (!this.#isBusy) return;
    throw new MillraceError('job-busy', 'A deployment or a shadow is under way already. Ask again when it is done.');
  }

  /** A graph that is watched may be gone back from before its time; nothing else may happen to it. */
  async #endWatch(graph: Graph, { how, by, request }: DeployRequest): Promise<Deployed> {
    const { stability } = this.#options;
    const { folder } = this.#job;
    const before = stability.version?.watch && (await graphVersion(folder, stability.version.watch.from));
    if (how !== 'rollback' || before?.hash !== graphHash(graph)) throw watchUnderWay(stability.version);
    await stability.giveUp('somebody asked to go back');
    const version = await graphVersion(folder, this.#job.adopted.version);
    await writeVersion(folder, { ...version, by: by ?? version.by, request: request ?? null });
    return { outcome: 'rolled-back', version: this.#job.adopted.version, pauseMs: null, cut: null, note: null };
  }

  async #carryOut(plan: Plan, recorded: GraphVersion, graph: Graph, tell: (progress: Json) => void): Promise<Deployed> {
    const { beside, onEvent, onWarning } = this.#options;
    const from = this.#job;
    const { version } = recorded;
    await createTopics(from.log, graph, onWarning);
    const current = currentUnder(from, version);
    const adopted = await adoptedAs(from.folder, current);
    const job = await regraphed(from, graph, adopted, onWarning);
    const [training = ''] = trainingStream(graph) ?? [];
    const switched = isHandedOver(plan, training) ? await this.#handOver(plan, job, recorded, tell) : null;
    if (!switched) await makeCurrent(from.folder, current);
    this.#job = job;
    this.#options.onDeployed(job);
    beside.tell(job, plan.rebuilt);
    const others = plan.rebuilt.filter((name) => name !== training);
    await beside.end(others);
    beside.start(job, others);
    const { pauseMs = null, cut = null } = switched ?? {};
    onEvent({ event: 'deployment', stream: training, outcome: 'deployed', version, pauseMs });
    const outcome = switched && recorded.watch ? 'watching' : 'live';
    const note = recorded.watch && !switched ? 'Nothing was watched: what trains goes on as it was.' : null;
    return { outcome, version, pauseMs, cut, note };
  }

  /** Resolves after the first step of the new graph. */
  async #handOver(
    plan: Plan,
    job: OpenJob,
    recorded: GraphVersion,
    tell: (progress: Json) => void,
  ): Promise<{ readonly pauseMs: number | null; readonly cut: string }> {
    const { training, seat, stability, onWarning } = this.#options;
    const from = this.#job;
    // Batches that wait at the cut still have the shape of the graph before.
    await seat.prepare(job.settings, [shapeOf(from.graph), shapeOf(job.graph)], plan.warmUp.length === 0);
    tell({ phase: 'warm' });
    const [stream = ''] = trainingStream(job.graph) ?? [];
    const pace = paceOf(plan, stream, seat.hasSuccessor);
    let cut = '';
    let version = recorded;
    const cutsStay = (error: unknown): void => onWarning(`Old cuts of deployments stay: ${String(error)}`);
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(error instanceof Error ? error : new Error(String(error)));
      try {
        training.handOver({
          job,
          pace,
          atCut() {
            version = { ...version, watch: version.watch && stability.atCut(version.watch) };
          },
          async commit(report) {
            cut = report.id;
            if (version.watch) await writeVersion(from.folder, version);
            await undoBeyond(from, plan);
            await makeCurrent(from.folder, currentUnder(from, job.adopted.version));
            tell({ phase: 'cut', cut });
          },
          async revert(error) {
            await makeCurrent(from.folder, currentUnder(from, from.adopted.version));
            fail(error);
          },
          done: (pauseMs) => {
            const settled = this.#carriedOut;
            const onGoneBack = (back: OpenJob): void => void (this.#job = back);
            stability.begin({ job, version: { ...version, pauseMs }, settled, onGoneBack });
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

/** What the history says when a version takes the place of a job's graph. */
function currentUnder({ adopted: { lineage, undone } }: OpenJob, version: number): CurrentGraph {
  return { version, lineage, undone, undo: null };
}

/** How a deployment is to be watched; null where it is not. */
function watchOf({ deploy }: Graph, { watchMs, bars }: DeployRequest, from: number): WatchState | null {
  const windowMs = watchMs ?? (deploy?.watch === undefined ? 0 : toMs(deploy.watch));
  return windowMs > 0 ? beginWatch({ windowMs, bars: withBars(deploy?.bars, bars), from }) : null;
}

function watchUnderWay(version: GraphVersion | null): MillraceError {
  return new MillraceError(
    'job-busy',
    `Version ${version?.version} of the graph is being watched. Wait for the end of that, which millrace graphs shows, or go ` +
      'back at once: millrace rollback.',
  );
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

/**
 * A stream that is not built anew has something told to its trainer. One that is begins at once where all that the graph
 * before has left is of use to it as it is; another trainer has to read it first.
 */
function paceOf({ rebuilt, operators }: Plan, stream: string, hasSuccessor: boolean): HandOver['pace'] {
  if (!rebuilt.includes(stream)) return 'told';
  const isMigrated = operators.some((row) => row.stream === stream && row.action === 'migrated');
  return hasSuccessor || isMigrated ? 'stored' : 'at-once';
}

function toJson(plan: Plan): Json {
  return z.json().parse(JSON.parse(JSON.stringify(plan)));
}
