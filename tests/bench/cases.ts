import { z } from 'zod';
import type { PresetName } from '../../model/presets.ts';
import type { EngineSettings } from '../../model/settings.ts';
import { suitableEngine } from '../../pipelines/job/suitable-engine.ts';
import type { Precision } from './matmul-peak.ts';

/** What a case's name stands for. */
export type Case =
  | { readonly by: 'millrace'; readonly engine: EngineSettings }
  | { readonly by: 'torch'; readonly precision: Precision; readonly compile: boolean };

export const millraceCases: readonly string[] = ['eager-f32', 'compiled-f32', 'compiled-bf16'];
export const torchCases: readonly string[] = [
  'torch-eager-f32',
  'torch-eager-bf16',
  'torch-compile-f32',
  'torch-compile-bf16',
];
/** Compiled with or without XLA, whatever a job of the preset would choose. */
export const variants: readonly string[] = [
  'compiled-f32-xla',
  'compiled-f32-plain',
  'compiled-bf16-xla',
  'compiled-bf16-plain',
];

/** Whether a case is PyTorch's. */
export function isTorch(name: string): boolean {
  return torchCases.includes(name);
}

const precisionSchema = z.enum(['f32', 'bf16']);

/** The case of that name. Compiled cases are as a job of the preset would run them but for what the name says. */
export function caseNamed(name: string, preset: PresetName): Case {
  const words = name.split('-');
  if (words[0] === 'torch') {
    return { by: 'torch', compile: words[1] === 'compile', precision: precisionSchema.parse(words[2]) };
  }
  if (words[0] === 'eager') return { by: 'millrace', engine: { mode: 'eager' } };
  const usual = suitableEngine(preset);
  const precision = precisionSchema.parse(words[1]);
  if (usual.mode !== 'compiled') return { by: 'millrace', engine: { mode: 'compiled', precision, xla: false } };
  return { by: 'millrace', engine: { ...usual, precision, xla: words[2] ? words[2] === 'xla' : usual.xla } };
}
