import { presets } from '../../model/presets.ts';
import type { Preset } from '../../model/presets.ts';
import type { ModelSpec } from './graph.ts';

/** A graph's preset, with the sizes that the graph names instead of the preset's. A new head brings keys of its own. */
export function presetOf({ preset: name, layers, hiddenSize, heads, intermediateSize }: ModelSpec): Preset {
  const preset = presets[name];
  const { model } = preset;
  return {
    ...preset,
    model: {
      ...model,
      layers: layers ?? model.layers,
      hiddenSize: hiddenSize ?? model.hiddenSize,
      heads: heads ?? model.heads,
      kvHeads: heads ?? model.kvHeads,
      intermediateSize: intermediateSize ?? model.intermediateSize,
    },
  };
}
