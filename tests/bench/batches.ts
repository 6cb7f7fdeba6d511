import { Random } from '../../model/random.ts';
import type { StepInput } from '../../model/types.ts';
import type { Shape } from './shapes.ts';

/**
 * The batch of that number, the same for whoever asks: small ids are frequent, as in text, and each target follows from
 * its id, so that there is something to learn.
 */
export function syntheticBatch(number: number, { rows, context }: Shape, vocabSize: number): StepInput {
  const random = new Random(number);
  const size = rows * context;
  const ids = Int32Array.from({ length: size }, () => Math.floor(random.uniform() ** 3 * vocabSize));
  const targets = ids.map((id) => (id * 7 + 1) % vocabSize);
  return { rows, context, ids, targets, lossMask: new Float32Array(size).fill(1) };
}
