import { join } from 'node:path';
import type { ModelFiles } from '../../model/interchange/open-model.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Logger } from '../../operators/ports.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { checkpointIds, inspectCheckpoint } from '../job/saved-checkpoints.ts';
import { pickWeights } from '../evaluation/saved-weights.ts';
import { spokenWeights } from '../job/spoken-weights.ts';
import { readFork } from '../redeploy/fork-job.ts';

/** Which weights of a checkpoint: the running mean, those of the last step, or those that answer prompts. */
export type WeightsChoice = 'ema' | 'last' | 'spoken';

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

/**
 * Finds the model in a checkpoint: a folder, an id in a job, or the newest of a job that is intact. Reads every byte of it
 * first. With `merge` its weights are the mean of those of as many checkpoints, up to this one. Rejects with `bad-usage` where there is none, or it has no such weights, and with `checkpoint-corrupt`.
 */
export async function findModel(
  named: string | null,
  job: JobFolder | null,
  choice: WeightsChoice,
  logger: Logger,
  merge: number,
): Promise<FoundModelFiles> {
  const { checkpoint, graph } = await readFork(named ?? (await newest(job)), job, logger);
  const { path } = checkpoint;
  const file = (name: string): string => join(path, name);
  const spoken = spokenWeights(path, graph?.model ?? {});
  const weights = choice === 'spoken' ? spoken : file(choice === 'ema' ? 'ema.safetensors' : 'weights.safetensors');
  const has = [...checkpoint.states.values()].some(({ files = [] }) => files.some((each) => each.path === weights));
  if (!has) {
    const message = `Checkpoint ${checkpoint.id} has no ${choice === 'ema' ? 'running mean of its weights: say --weights last' : 'weights: name one of a stream that trains'}.`;
    throw new MillraceError('bad-usage', message);
  }
  const picked = await pickWeights({ checkpoint, graph }, choice, merge);
  return {
    path,
    weights: picked.path,
    isMean: picked.which === 'ema',
    tokenizer: file('tokenizer.json'),
    name: graph?.name ?? 'millrace',
    merged: picked.of,
    dispose: () => picked.dispose(),
  };
}

async function newest(job: JobFolder | null): Promise<string> {
  if (!job) {
    throw new MillraceError(
      'bad-usage',
      'No job has run here yet. Name the folder of a checkpoint, or the data folder with --data-dir.',
    );
  }
  for (const id of (await checkpointIds(job)).toReversed()) {
    if ((await inspectCheckpoint(job, id, true))?.condition === 'intact') return join(job.checkpoints, id);
  }
  throw new MillraceError('bad-usage', `Job ${job.id} has no checkpoint yet that is intact.`);
}
