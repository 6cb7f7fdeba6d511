import { z } from 'zod';
import type { Json } from '../../operators/types.ts';
import type { Deployed } from '../redeploy/deployer.ts';
import { duration } from './format.ts';
import { shadowLine } from './shadow-view.ts';
import { watchLine } from './watch-view.ts';

const PHASES: Readonly<Record<string, string>> = {
  planned: 'Checked and planned.',
  warm: 'Built and warmed up beside the running graph.',
  cut: 'The cut is stored.',
};

const phaseSchema = z.object({ phase: z.string() });
const watchedSchema = z.object({
  phase: z.literal('watched'),
  version: z.number(),
  pauseMs: z.number().nullable(),
  cut: z.string().nullable(),
});

/** What a deployment has come to, on one line. */
export function progressLine(progress: Json): string {
  const watched = watchedSchema.safeParse(progress);
  if (watched.success) {
    return `${liveLine(watched.data)}\nWatching it. Ctrl-C ends only this command: the job goes on watching.`;
  }
  const phase = phaseSchema.safeParse(progress).data?.phase ?? '';
  return watchLine(progress) ?? shadowLine(progress) ?? PHASES[phase] ?? JSON.stringify(progress);
}

/** What became of it. */
export function deployedLine(deployed: Deployed): string {
  const { outcome, version, note } = deployed;
  switch (outcome) {
    case 'nothing':
      return `Version ${version} stays: there is nothing to change.`;
    case 'rolled-back':
      return `Gone back to the graph before${note === null ? '' : `: ${note}`}.`;
    case 'watching':
      return `${liveLine(deployed)} The job watches it; millrace graphs says what becomes of it.`;
    case 'live':
      return note === null ? liveLine(deployed) : `Version ${version} stays live. ${note}`;
  }
}

function liveLine({ version, pauseMs, cut }: Pick<Deployed, 'version' | 'pauseMs' | 'cut'>): string {
  if (cut === null) return `Version ${version} is live; training went on meanwhile.`;
  const pause = pauseMs === null ? 'nothing waits to be trained' : `training paused for ${duration(pauseMs)}`;
  return `Version ${version} is live since cut ${cut}; ${pause}.`;
}
