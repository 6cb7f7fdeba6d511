import { Subject } from 'rxjs';
import { startSampler } from '../../infra/index.ts';
import { startAlerts } from '../alerts/start-alerts.ts';
import { openDoors } from '../control/doors.ts';
import { Evaluations } from '../evaluation/evaluations.ts';
import { ExamRoom } from '../evaluation/exam-room.ts';
import type { Promotion } from '../promotion/promotion.ts';
import { startPromotion } from '../promotion/start-promotion.ts';
import { Deployer } from '../redeploy/deployer.ts';
import { Stability } from '../redeploy/watch/stability.ts';
import { Beside } from './beside.ts';
import type { JobEvent, SummaryEvent } from './events.ts';
import { JobReports } from './job-reports.ts';
import type { OpenJob } from './open-job.ts';
import type { HttpPlace } from './serve-http.ts';
import { samplerSettings } from './sampler-settings.ts';
import { TrainerSeat } from './trainer-seat.ts';
import { Training } from './training.ts';
import { Voice } from './voice.ts';

export interface RunJobOptions {
  readonly job: OpenJob;
  /** Ends the job once it has done so many steps in all. */
  readonly maxSteps: number;
  /** Ends the job once everything is trained and nothing has arrived for this long. */
  readonly untilIdleMs: number;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
  /** Where the model may be asked over HTTP; nowhere when absent. */
  readonly http?: HttpPlace | undefined;
  /** Aborted when the job is to make a savepoint and end. */
  readonly stop: AbortSignal;
}

/**
 * Runs all streams of a job until it is stopped, idle or done; then makes a last cut and resolves with the summary.
 * Commands of this machine may ask it meanwhile for a savepoint, and to take another graph. Rejects with the first fault
 * that building a stream anew does not mend.
 */
export async function runJob(options: RunJobOptions): Promise<SummaryEvent> {
  const { job, onEvent, onWarning } = options;
  const voice = new Voice(job, onWarning);
  const reports = new JobReports({ job, voice, onEvent, onWarning });
  const room = new ExamRoom(() => startSampler({ logger: reports.logger, ...samplerSettings(job) }));
  const closers: (() => Promise<void>)[] = [];
  try {
    const alerts = await startAlerts(job, reports, onWarning);
    if (alerts) closers.push(() => alerts.close());
    const promotion = await startPromotion({ job, voice, reports, room, onEvent, onWarning });
    if (promotion) closers.push(() => promotion.close());
    const evaluations = await Evaluations.start({ job, room, onEvent, onWarning });
    closers.push(() => evaluations.close());
    reports.cuts.subscribe((cut) => evaluations.offer(cut.job, cut.path));
    return await runStreams(options, reports, voice, promotion);
  } finally {
    // Together, since they share a room: each knows that it is over before that is closed.
    await Promise.all(closers.map((close) => close()));
    reports.close();
    voice.close();
  }
}

async function runStreams(
  options: RunJobOptions,
  reports: JobReports,
  voice: Voice,
  promotion: Promotion | null,
): Promise<SummaryEvent> {
  const { job, onEvent, onWarning } = options;
  const seat = new TrainerSeat(job.folder.staging, reports.logger);
  const rescue = (stream: string, error: unknown): boolean => stability.rescue(stream, error);
  const beside: Beside = new Beside({ reports, voice, seat, rescue });
  const over = new Subject<void>();
  const training = new Training({ ...options, reports, voice, seat, over });
  const onDeployed = (): void => doors.deployed();
  const watching = { training, beside, signs: reports.signs, onEvent, onWarning };
  const stability: Stability = new Stability({ ...watching, onEnd: onDeployed });
  const deployer = new Deployer({ job, training, beside, seat, stability, reports, onDeployed, onEvent, onWarning });
  const doors = await openDoors({ ...options, http: options.http, deployer, training, voice, reports, promotion });
  await deployer.resume();
  beside.start(job);
  const running = training.run();
  try {
    const reason = await Promise.race([running, beside.failed]);
    await beside.farewell();
    return await reports.summary(reason);
  } finally {
    // Also after a fault of one of them, the others still use the log, which is closed next.
    over.next();
    await stability.stop().catch((error: unknown) => onWarning(`The watch was not saved: ${String(error)}`));
    await Promise.allSettled([running, beside.close()]);
    await Promise.allSettled([seat.close(), doors.close()]);
    await deployer.close();
  }
}
