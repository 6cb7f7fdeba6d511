import { multipliesBfloat16, thisMachine } from '../../infra/index.ts';
import type { Machine } from '../../infra/index.ts';
import type { PresetName } from '../../model/presets.ts';
import type { CompiledEngine } from './tune-engine.ts';

/**
 * The rule of thumb for how to carry out steps on a machine: compiled, with matrix products in bfloat16 where the
 * processor multiplies it. Chains are compiled by XLA where steps are long enough to make up for the seconds that this
 * takes at every start, and several threads work where an operation is long enough to be shared out.
 */
export function suitableEngine(preset: PresetName, machine: Machine = thisMachine()): CompiledEngine {
  const precision = multipliesBfloat16(machine) ? 'bf16' : 'f32';
  const isSmall = preset === 'nano' || preset === 'fast-nano';
  return { mode: 'compiled', precision, xla: !isSmall, threads: isSmall ? 1 : machine.threads };
}
