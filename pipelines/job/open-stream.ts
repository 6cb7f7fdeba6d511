import { openAnswerBook, openCheckpointStore, startSampler } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { AnswerBook, Checkpoint, Snapshot } from '../../operators/index.ts';
import type { Uid } from '../../operators/flow.ts';
import type { Services } from '../../operators/kind.ts';
import type { Json } from '../../operators/types.ts';
import { graphDocument, graphHash } from '../spec/graph.ts';
import type { Step } from '../spec/graph.ts';
import { has } from '../spec/streams.ts';
import { checkpointsOf } from './job-folder.ts';
import { Hold } from './hold.ts';
import type { JobReports } from './job-reports.ts';
import type { OpenJob } from './open-job.ts';
import { latestThatCounts } from './membership.ts';
import { reachedIn, requireOwners } from './restored-cut.ts';
import { composeStream, topicsRead } from './run-stream.ts';
import { samplerSettings } from './sampler-settings.ts';
import { streamLog } from './stream-log.ts';
import { streamStore } from './stream-store.ts';
import { inVocabulary } from './vocabulary.ts';
import type { OpenStream } from './run-stream.ts';
import { version } from '../version.ts';
import type { TrainerSeat } from './trainer-seat.ts';
import type { Voice } from './voice.ts';

export interface StreamOptions {
  readonly job: OpenJob;
  readonly name: string;
  readonly steps: readonly Step[];
  readonly voice: Voice;
  readonly reports: JobReports;
  readonly seat: TrainerSeat;
  readonly maxSteps: number;
  /** What another graph of this process has left, to be gone on with in place of the newest cut. */
  readonly left?: Left | null;
  /** The job under the graph that it has by now, where that changes while the stream runs; `job` where absent. */
  readonly current?: () => OpenJob;
  /** Newer configurations than those of the steps. */
  readonly told?: ReadonlyMap<Uid, unknown>;
}

/** Where a graph has stopped, in memory: its cut is still on its way to the disk. */
export interface Left {
  readonly states: ReadonlyMap<Uid, Snapshot>;
  /** The version that has left them. */
  readonly version: number;
  /** Resolves when the graph that goes on is the job's. */
  readonly counts: Promise<void>;
}

/** Opens what a stream needs (its checkpoints, its processes) and composes it over the newest intact cut. */
export async function openStream(options: StreamOptions): Promise<OpenStream> {
  const { job, name, steps, voice, reports, left = null, current = () => job } = options;
  const { logger } = reports;
  const isTraining = has(steps, 'trainStep');
  const saved = await openCheckpointStore(checkpointsOf(job.folder, name, steps), {
    jobId: job.folder.id,
    logger,
    describe: () => describe(current(), name),
    files: [{ name: 'tokenizer.json', path: job.tokenizerFile }],
    ...(isTraining && job.graph.promote ? { held: () => job.champions.held } : {}),
  });
  const store = streamStore(saved);
  const hold = left && new Hold(left.counts);
  const direct = streamLog(job.log, logger);
  const log = hold?.log(direct) ?? direct;
  const ledger = job.ledgerOf(name, log);
  const assignments = isTraining ? job.membership : null;
  const stored = async (): Promise<Checkpoint | null> => {
    const { adopted } = job;
    const newest = await (assignments
      ? latestThatCounts(store, adopted, assignments, ledger, steps)
      : store.latest(isTraining ? (each) => adopted.counts(each) : undefined));
    return newest && adopted.withoutDiscarded(newest);
  };
  const cut = left ? null : await stored();
  const restore = left
    ? { id: 'in memory', states: job.adopted.withoutDiscardedSince(left.version, left.states) }
    : cut;
  if (restore) requireOwners(restore, name, steps);
  const spelled = cut ? await inVocabulary(cut, job.tokenizerFile, steps, job.batch) : restore;
  if (isTraining && left) reports.handedOver(reachedIn(restore, steps));
  // Weights of another vocabulary would not understand what they are asked.
  else if (isTraining) reports.restored(spelled === cut ? cut : null, reachedIn(cut, steps));
  const answers = await bookOf(job, steps);
  const trainer = isTraining ? await options.seat.take(job.settings, left !== null) : null;
  const sampler = has(steps, 'generate') ? await startSampler({ logger, ...samplerSettings(job) }) : null;
  const listening = sampler && voice.keepCurrent(sampler);
  const services: Services = {
    jobId: job.folder.id,
    lineage: job.adopted.lineage,
    log,
    formats: job.formats,
    clock: { nowMs: () => Date.now() },
    tokenizer: job.tokenizer,
    deadLetters: hold?.deadLetters(reports.deadLetters) ?? reports.deadLetters,
    ledger,
    store: hold?.store(store) ?? store,
    batch: job.batch,
    answers,
    restore: spelled,
    ends: job.ends,
    maxSteps: options.maxSteps,
    assignments,
    ...(options.told ? { told: options.told } : {}),
    get trainer() {
      return started(trainer, 'trainer');
    },
    get sampler() {
      return voice.prompts.of(started(sampler, 'sampler'));
    },
  };
  return {
    flow: composeStream(steps, services),
    store,
    close: async () => {
      hold?.end();
      listening?.unsubscribe();
      await Promise.all([trainer && options.seat.leave(), sampler?.close(), answers?.close(), direct.settled()]);
      await store.settled();
    },
  };
}

/** What each checkpoint says of the job that made it. */
function describe({ graph, adopted, settings, logIdentity }: OpenJob, stream: string): Record<string, Json> {
  return {
    millrace: version,
    graph: {
      name: graph.name,
      hash: graphHash(graph),
      stream,
      version: adopted.version,
      document: graphDocument(graph),
    },
    model: { ...settings.model },
    engine: { ...settings.engine },
    log: logIdentity,
  };
}

/** The book of a stream that commits answers; it is the operator's, like a state. */
async function bookOf({ folder, log }: OpenJob, steps: readonly Step[]): Promise<AnswerBook | null> {
  const answering = steps.find(({ kind }) => kind.kind === 'publishAnswers');
  if (!answering) return null;
  return openAnswerBook(log, { group: `${folder.id}/${answering.uid}`, topics: topicsRead(steps) });
}

function started<T>(process: T | null, name: string): T {
  if (process) return process;
  throw new MillraceError('graph-invalid', `An operator asks for the ${name}, which this stream does not start.`);
}
