import { rm } from 'node:fs/promises';
import { MillraceError } from '../../operators/errors.ts';
import { currentJob, makeCurrentJob, newJob } from '../job/job-folder.ts';
import type { DataFolder, JobFolder, LogKind } from '../job/job-folder.ts';
import type { Graph } from '../spec/graph.ts';
import { planRefused } from './adopt-graph.ts';
import { readFork, writeFork } from './fork-job.ts';
import type { Fork } from './fork-job.ts';
import { planRedeploy } from './plan.ts';
import type { Plan } from './plan.ts';

export interface BeginForkOptions {
  readonly data: DataFolder;
  readonly kind: LogKind;
  /** Of the log that the new job reads. */
  readonly identity: string;
  readonly graph: Graph;
  /** The savepoint: its folder, or its id in the folder's job. */
  readonly from: string;
  readonly discard: readonly string[];
  readonly onPlan: (plan: Plan) => void;
  readonly onWarning: (message: string) => void;
}

/**
 * Begins a job of its own from a savepoint, by the plan from the graph that made it. It is the folder's job only when all
 * of it is written; until then the one before is. Rejects with `plan-refused`.
 */
export async function beginFork(options: BeginForkOptions): Promise<JobFolder> {
  const { data, kind, identity, graph, from, onWarning } = options;
  const logger = { info: () => {}, warn: onWarning };
  const fork = await readFork(from, currentJob(data), logger);
  const keepsOffsets = fork.log === identity;
  const states = statesLeft(fork, options, keepsOffsets);
  if (!keepsOffsets) {
    onWarning(
      'The savepoint is of another log, in which offsets mean something else: sources begin where the graph says (ingest.from).',
    );
  }
  const job = newJob(data, kind);
  try {
    await writeFork({ job, fork, states, graph, keepsOffsets, logger });
  } catch (error) {
    await rm(job.root, { recursive: true, force: true });
    throw error;
  }
  makeCurrentJob(data, job);
  return job;
}

/** The states of the savepoint that the graph goes on with. */
function statesLeft(
  fork: Fork,
  { graph, discard, onPlan }: BeginForkOptions,
  keepsOffsets: boolean,
): Fork['checkpoint']['states'] {
  const kinds = new Map(
    Object.values(fork.graph?.streams ?? {}).flatMap((steps) => steps.map((step) => [step.uid, step.kind])),
  );
  // What says nothing in another log is lost there without asking.
  const states = new Map(
    [...fork.checkpoint.states].filter(([uid, state]) => kinds.get(uid)?.forked(uid, state, keepsOffsets) !== null),
  );
  if (!fork.graph || fork.stream === null) {
    const known = new Set(Object.values(graph.streams).flatMap((steps) => steps.map(({ uid }) => uid)));
    const lost = [...states.keys()].filter((uid) => !known.has(uid) && !discard.includes(uid));
    if (lost.length === 0) return new Map([...states].filter(([uid]) => !discard.includes(uid)));
    throw new MillraceError(
      'checkpoint-incompatible',
      `The savepoint holds state of ${lost.join(', ')}, which the graph has not. Give each its operator, or say --discard.`,
    );
  }
  // It keeps the savepoint's vocabulary.
  const to = { ...graph, tokenizer: fork.graph.tokenizer };
  const input = { from: fork.graph, to, states: new Map([[fork.stream, states]]), discard: new Set(discard) };
  const plan = planRedeploy(input);
  if (plan.outcome === 'refused') throw planRefused(plan);
  if (plan.outcome === 'changes') onPlan(plan);
  return new Map([...states].filter(([uid]) => !discard.includes(uid)));
}
