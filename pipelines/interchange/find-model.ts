import { join } from 'node:path';
import type { ModelFiles } from '../../model/interchange/open-model.ts';
import type { Logger } from '../../operators/ports.ts';
import { pickWeights, savedModel } from '../evaluation/saved-weights.ts';
import type { WhichWeights } from '../evaluation/saved-weights.ts';

export interface FoundModelFiles extends ModelFiles {
  /** Of the checkpoint. */
  readonly path: string;
  readonly isMean: boolean;
  /** What a model that comes of it may be called. */
  readonly name: string;
  /** Ids of the checkpoints that its weights are the mean of; one, where they are of one. */
  readonly merged: readonly string[];
  /** Removes what was made to be read. */
  dispose(): Promise<void>;
}

/** The files of the model in a checkpoint; which, and when there is none, see `savedModel` and `pickWeights`. */
export async function findModel(
  dataDir: string,
  named: string | undefined,
  { weights, merge, logger }: { readonly weights: WhichWeights; readonly merge: number; readonly logger: Logger },
): Promise<FoundModelFiles> {
  const model = await savedModel(dataDir, named, logger);
  const picked = await pickWeights(model, weights, merge);
  const { path } = model.checkpoint;
  return {
    path,
    weights: picked.path,
    isMean: picked.which === 'ema',
    tokenizer: join(path, 'tokenizer.json'),
    name: model.graph?.name ?? 'millrace',
    merged: picked.of,
    dispose: () => picked.dispose(),
  };
}
