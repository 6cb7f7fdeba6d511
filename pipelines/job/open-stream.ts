import { openAnswerBook, openCheckpointStore, startSampler } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { AnswerBook } from '../../operators/index.ts';
import type { Services } from '../../operators/kind.ts';
import { graphDocument, graphHash } from '../spec/graph.ts';
import type { Step } from '../spec/graph.ts';
import { has } from '../spec/streams.ts';
import { checkpointsOf } from './job-folder.ts';
import type { JobReports } from './job-reports.ts';
import type { OpenJob } from './open-job.ts';
import { latestThatCounts } from './membership.ts';
import { reachedIn, requireOwners } from './restored-cut.ts';
import { composeStream, topicsRead } from './run-stream.ts';
import { streamLog } from './stream-log.ts';
import { streamStore } from './stream-store.ts';
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
}

/** Opens what a stream needs (its checkpoints, its processes) and composes it over the newest intact cut. */
export async function openStream(options: StreamOptions): Promise<OpenStream> {
  const { job, name, steps, voice, reports } = options;
  const { logger } = reports;
  const saved = await openCheckpointStore(checkpointsOf(job.folder, name, steps), {
    jobId: job.folder.id,
    logger,
    describe: {
      millrace: version,
      graph: {
        name: job.graph.name,
        hash: graphHash(job.graph),
        stream: name,
        version: job.adopted.version,
        document: graphDocument(job.graph),
      },
      model: { ...job.settings.model },
      engine: { ...job.settings.engine },
      log: job.logIdentity,
    },
    files: [{ name: 'tokenizer.json', path: job.folder.tokenizer }],
  });
  const store = streamStore(saved);
  const isTraining = has(steps, 'trainStep');
  const log = streamLog(job.log, logger);
  const ledger = job.ledgerOf(name, log);
  const assignments = isTraining ? job.membership : null;
  const { adopted } = job;
  const newest = await (assignments
    ? latestThatCounts(store, adopted, assignments, ledger, steps)
    : store.latest(isTraining ? adopted.counts : undefined));
  const restore = newest && (await adopted.withoutDiscarded(newest));
  if (restore) requireOwners(restore, name, steps);
  if (isTraining) reports.restored(restore, reachedIn(restore, steps));
  const answers = await bookOf(job, steps);
  const trainer = isTraining ? await options.seat.take(job.settings) : null;
  const sampler = has(steps, 'generate') ? await startSampler({ logger, engine: job.settings.engine }) : null;
  const listening = sampler && voice.keepCurrent(sampler);
  const services: Services = {
    jobId: job.folder.id,
    lineage: job.adopted.lineage,
    log,
    formats: job.formats,
    clock: { nowMs: () => Date.now() },
    tokenizer: job.tokenizer,
    deadLetters: reports.deadLetters,
    ledger,
    store,
    batch: job.batch,
    answers,
    restore,
    maxSteps: options.maxSteps,
    assignments,
    get trainer() {
      return started(trainer, 'trainer');
    },
    get sampler() {
      return started(sampler, 'sampler');
    },
  };
  return {
    flow: composeStream(steps, services),
    close: async () => {
      listening?.unsubscribe();
      await Promise.all([trainer && options.seat.leave(), sampler?.close(), answers?.close(), log.settled()]);
      await store.settled();
    },
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
