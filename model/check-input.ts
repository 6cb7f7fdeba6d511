import { ModelError } from './errors.ts';
import type { ModelConfig } from './config.ts';
import type { StepInput } from './types.ts';

/**
 * Refuses a batch that the model cannot take: `shape-mismatch` for arrays of the wrong length, `input-invalid` for ids
 * beyond the vocabulary, which not all of TensorFlow's kernels check.
 */
export function checkStepInput(input: StepInput, config: ModelConfig): void {
  const { rows, context } = input;
  if (context > config.maxContext) {
    const message = `Rows of ${context} tokens are longer than the model's maxContext, ${config.maxContext}.`;
    throw new ModelError('shape-mismatch', message);
  }
  const arrays = { ids: input.ids, targets: input.targets, lossMask: input.lossMask, segments: input.segments };
  for (const [name, array] of Object.entries(arrays)) {
    if (array === undefined || (array.length === rows * context && array.length > 0)) continue;
    const message = `\`${name}\` has ${array.length} entries; ${rows} rows × ${context} tokens need ${rows * context}.`;
    throw new ModelError('shape-mismatch', message);
  }
  checkTokens('ids', input.ids, config);
  checkTokens('targets', input.targets, config);
}

/** Throws `input-invalid` unless every token is in the vocabulary. */
export function checkTokens(name: string, tokens: Int32Array, config: ModelConfig): void {
  const position = tokens.findIndex((token) => token < 0 || token >= config.vocabSize);
  if (position < 0) return;
  const message = `\`${name}[${position}]\` is ${tokens[position]}, but the vocabulary has ${config.vocabSize} tokens.`;
  throw new ModelError('input-invalid', `${message} Use the tokenizer that the model was made for.`);
}
