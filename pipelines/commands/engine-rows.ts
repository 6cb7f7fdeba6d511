import { thisMachine } from '../../infra/index.ts';
import { presetNames, presets } from '../../model/presets.ts';
import { stepVersion } from '../../model/step-version.ts';
import { describeEngine } from '../job/describe-engine.ts';
import { EngineCache } from '../job/engine-cache.ts';
import type { CachedChoice } from '../job/engine-cache.ts';
import { suitableEngine } from '../job/suitable-engine.ts';

/** A line of `millrace doctor`. */
export interface EngineRow {
  readonly name: string;
  readonly status: 'ok' | 'note';
  readonly detail: string;
}

/** Which engine each preset would be trained with here: what was measured, or what stands until that is done. */
export async function engineRows(cache: EngineCache = new EngineCache()): Promise<readonly EngineRow[]> {
  const machine = thisMachine();
  const step = stepVersion();
  const isCurrent = ({ key }: CachedChoice): boolean =>
    key.step === step && JSON.stringify(key.machine) === JSON.stringify(machine);
  const all = await cache.all();
  const current = all.filter(isCurrent);
  const rows = presetNames.flatMap((preset): readonly EngineRow[] => {
    const name = `Engine, ${preset}`;
    const measured = current.filter(({ key }) => key.preset === preset);
    if (measured.length > 0) return measured.map((choice) => ({ name, status: 'ok', detail: measuredDetail(choice) }));
    const { batchRows, model } = presets[preset];
    const rule = describeEngine(suitableEngine(preset, machine));
    const shape = `${batchRows} × ${model.maxContext} tokens`;
    return [
      { name, status: 'note', detail: `not measured yet, which its first job does; by rule ${rule}, for ${shape}` },
    ];
  });
  const others = all.length - current.length;
  if (others === 0) return rows;
  const detail = `${others} measured of another machine, TensorFlow or version of the step: not used`;
  return [...rows, { name: 'Engines', status: 'note', detail }];
}

function measuredDetail({ key, choice, measured }: CachedChoice): string {
  const { rows, context, vocabSize, accumulate } = key;
  const parts = accumulate > 1 ? ` in ${accumulate} parts` : '';
  return `${describeEngine(choice)}: fastest of ${measured.length} measured for ${rows} × ${context} tokens${parts} of ${vocabSize}`;
}
