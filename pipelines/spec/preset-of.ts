import { presets } from '../../model/presets.ts';
import type { Preset } from '../../model/presets.ts';
import type { ModelSpec } from './graph.ts';

/** What was learnt elsewhere is changed more gently than first weights, unless the graph says otherwise. */
const IMPORTED_LEARNING_RATE = 1e-4;

type Sizes = Pick<ModelSpec, 'preset' | 'import' | 'layers' | 'hiddenSize' | 'heads' | 'intermediateSize'>;

/**
 * A graph's preset, with the model that the graph begins with and the sizes that it names instead of the preset's. A new
 * head brings keys of its own.
 */
export function presetOf(spec: Sizes): Preset {
  const { preset: name, import: imported, layers, hiddenSize, heads, intermediateSize } = spec;
  const preset = presets[name];
  const model = imported?.config ?? preset.model;
  return {
    ...preset,
    ...(imported ? { optimizer: { ...preset.optimizer, learningRate: IMPORTED_LEARNING_RATE } } : {}),
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

/** Shape of a batch where the graph names none. What an imported model could see at once is often more than fits. */
export function batchShapeOf(spec: Sizes): { readonly rows: number; readonly context: number } {
  const { batchRows, model } = presets[spec.preset];
  return { rows: batchRows, context: Math.min(model.maxContext, presetOf(spec).model.maxContext) };
}
