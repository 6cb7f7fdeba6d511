import type { ModelConfig } from './config.ts';
import { ModelError } from './errors.ts';
import type { ModelState, Values } from './step-runner.ts';
import type { OldTokens } from './tokenizer/respelling.ts';

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

/**
 * The same model over another vocabulary: embedding and head keep the rows of tokens that stay; a new token's are the mean
 * of those that have spelled it so far, or of all where none have. The optimizer's running means stay with their rows, and
 * begin at zero for new ones. Throws `weights-mismatch` where a row is named that is not there.
 */
export function respellModel(
  state: ModelState,
  config: ModelConfig,
  rows: readonly OldTokens[],
): { readonly state: ModelState; readonly config: ModelConfig } {
  const missing = rows.flat().find((row) => row < 0 || row >= config.vocabSize);
  if (missing !== undefined) {
    throw new ModelError('weights-mismatch', `The weights know no token ${missing}: they are of another tokenizer.`);
  }
  const all = Array.from({ length: config.vocabSize }, (_, row) => row);
  const change = (values: Values, isMean: boolean): Values =>
    new Map(
      [...values].map(([name, old]) => {
        if (name !== EMBEDDING && name !== HEAD) return [name, old];
        const width = config.hiddenSize;
        const next = new Float32Array(rows.length * width);
        for (const [row, parts] of rows.entries()) {
          const into = next.subarray(row * width, (row + 1) * width);
          if (typeof parts === 'number') into.set(old.subarray(parts * width, (parts + 1) * width));
          else if (!isMean) addMean(into, old, parts.length > 0 ? parts : all);
        }
        return [name, next];
      }),
    );
  return {
    config: { ...config, vocabSize: rows.length },
    state: {
      weights: change(state.weights, false),
      mean: change(state.mean, true),
      meanSquare: change(state.meanSquare, true),
      ...(state.ema ? { ema: change(state.ema, false) } : {}),
    },
  };
}

function addMean(into: Float32Array, matrix: Float32Array, rows: readonly number[]): void {
  const width = into.length;
  for (const row of rows) {
    for (let at = 0; at < width; at++) into[at] = (into[at] ?? 0) + (matrix[row * width + at] ?? 0) / rows.length;
  }
}
