import { readFileSync } from 'node:fs';
import type { PresetName } from '../../model/presets.ts';
import type { EngineSettings } from '../../model/settings.ts';

/**
 * How to carry out steps on this machine: compiled, with matrix products in bfloat16 where the processor multiplies it.
 * Chains are compiled by XLA where steps are long enough to make up for the seconds that this takes at every start, and
 * several threads work where an operation is long enough to be shared out.
 */
export function suitableEngine(preset: PresetName): EngineSettings {
  const precision = multipliesBfloat16() ? 'bf16' : 'f32';
  if (preset === 'nano') return { mode: 'compiled', precision, xla: false, threads: 1 };
  return { mode: 'compiled', precision, xla: true };
}

function multipliesBfloat16(): boolean {
  try {
    return /\b(avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    // Elsewhere than on Linux nobody has measured it.
    return false;
  }
}
