import { z } from 'zod';
import type { ControlHandler } from '../../infra/index.ts';
import type { ExamRoom } from '../evaluation/exam-room.ts';
import type { JobEvent } from '../job/events.ts';
import type { JobReports } from '../job/job-reports.ts';
import type { OpenJob } from '../job/open-job.ts';
import type { Voice } from '../job/voice.ts';
import { Promotion } from './promotion.ts';

export interface StartPromotionOptions {
  readonly job: OpenJob;
  readonly voice: Voice;
  readonly reports: JobReports;
  readonly room: ExamRoom;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
}

/** Where the graph says what a snapshot must show, new weights are offered to the promotion from now on; else null. */
export async function startPromotion(options: StartPromotionOptions): Promise<Promotion | null> {
  const { job, voice, reports, room, onEvent, onWarning } = options;
  const { promote } = job.graph;
  if (!promote) return null;
  const { deadLetters } = reports;
  const promotion = await Promotion.start({ job, promote, voice, deadLetters, room, onEvent, onWarning });
  reports.offerTo(promotion);
  return promotion;
}

/** What commands of this machine may ask it for; each is answered with the decision. */
export function promotionCommands(promotion: Promotion): Readonly<Record<string, ControlHandler>> {
  return {
    promote: async (version) => z.json().parse({ ...(await promotion.promote(z.string().nullable().parse(version))) }),
    demote: async () => z.json().parse({ ...(await promotion.demote()) }),
  };
}
