import type { ChoiceResult, Evaluation, TextResult } from '../evaluation/evaluation.ts';
import { count, figure, size, table } from './format.ts';

/** What an exam has come to, as tables. */
export function evaluationView({ job, weights, texts, choices }: Evaluation): string {
  const { id, step, which, merged } = weights;
  const means = which === 'ema' ? ', running mean' : '';
  const several = merged.length > 1 ? `, mean of ${merged.length} from ${merged[0]} on` : '';
  const parts = [`Checkpoint ${id} of job ${job}, step ${count(step)}${means}${several}\n`];
  if (texts.length > 0) parts.push(table(['text', 'size', 'tokens', 'bits/byte'], texts.map(textRow)));
  if (choices.length > 0) {
    const titles = ['choices', 'items', 'right', 'per character', 'per byte', 'by the context'];
    parts.push(table(titles, choices.map(choiceRow)));
  }
  return parts.join('\n');
}

/** The same on one line, of a job that runs. */
export function evaluationLine({ weights, texts, choices }: Pick<Evaluation, 'weights' | 'texts' | 'choices'>): string {
  const shown = [
    ...texts.map(({ name, bitsPerByte }) => `${name} ${figure(bitsPerByte)} bits/byte`),
    ...choices.map(({ name, items, accuracyPerByte }) => `${name} ${percent(accuracyPerByte)} of ${count(items)}`),
  ];
  return `step ${count(weights.step)} evaluated: ${shown.join(', ')}`;
}

function textRow({ name, bytes, tokens, bitsPerByte }: TextResult): readonly string[] {
  return [name, size(bytes), count(tokens), figure(bitsPerByte)];
}

function choiceRow(result: ChoiceResult): readonly string[] {
  const { name, items, accuracy, accuracyPerCharacter, accuracyPerByte, accuracyUnconditional } = result;
  const shares = [accuracy, accuracyPerCharacter, accuracyPerByte, accuracyUnconditional];
  return [name, count(items), ...shares.map(percent)];
}

function percent(share: number | null): string {
  return share === null ? '–' : `${(share * 100).toFixed(1)} %`;
}
