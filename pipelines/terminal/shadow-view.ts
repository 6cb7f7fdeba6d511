import { z } from 'zod';
import type { Json } from '../../operators/types.ts';
import type { Comparison, ShadowFigures } from '../redeploy/shadow/comparison.ts';
import { count, figure, printable, table } from './format.ts';

const progressSchema = z.object({
  phase: z.literal('shadow'),
  part: z.enum(['running', 'candidate']),
  step: z.number(),
  of: z.number(),
});

const PARTS = { running: 'The running graph', candidate: 'The candidate' } as const;

/** How far a shadow is; null for progress of something else. */
export function shadowLine(progress: Json): string | null {
  const parsed = progressSchema.safeParse(progress);
  if (!parsed.success) return null;
  const { part, step, of } = parsed.data;
  return `${PARTS[part]} is at step ${count(step)} of ${count(of)} on the records that both train.`;
}

const VERDICTS: Readonly<Record<Comparison['verdict'], string>> = {
  better: 'The candidate does better.',
  alike: 'The candidate does no better, and no worse than the bars allow.',
  worse: 'The candidate does worse',
};

/** A comparison as people read it. */
export function comparisonLines({ running, candidate, verdict, reason }: Comparison): string {
  const row = (name: string, cell: (figures: ShadowFigures) => string): string[] => [
    name,
    cell(running),
    cell(candidate),
  ];
  const rows = [
    row('steps', ({ steps }) => count(steps)),
    row('bits per byte', ({ bitsPerByte }) => figure(bitsPerByte)),
    row('tokens/s', ({ tokensPerSecond }) => (tokensPerSecond === null ? '–' : count(tokensPerSecond))),
    row('dead letters', ({ deadLetters }) => count(deadLetters)),
  ];
  const why = reason === null ? '' : `: ${printable(reason)}.`;
  return `${table(['on the same records', 'running', 'candidate'], rows)}\n${VERDICTS[verdict]}${why}\n`;
}
