import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { startSampler } from '../../infra/index.ts';
import { engineSchema } from '../../model/settings.ts';
import { loadTokenizer } from '../../model/tokenizer/tokenizer.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Logger } from '../../operators/ports.ts';
import { answersTo } from './evaluation.ts';
import type { Evaluation, Questions } from './evaluation.ts';
import { ExamRoom } from './exam-room.ts';
import { configIn, pickWeights } from './saved-weights.ts';
import type { SavedModel, WhichWeights } from './saved-weights.ts';
import { scoredAtOnce } from './scorer.ts';

export interface EvalOptions {
  readonly model: SavedModel;
  readonly which: WhichWeights;
  readonly merge: number;
  readonly questions: Questions;
  /** Of windows over text; half of a window when absent. */
  readonly stride: number | undefined;
  readonly logger: Logger;
  readonly onProgress: (name: string, share: number) => void;
  readonly signal: AbortSignal;
}

/** Examines the weights of a checkpoint in a process of its own. Rejects with an `AbortError` when the signal says so. */
export async function runEval(options: EvalOptions): Promise<Evaluation> {
  const { model, which, merge, questions, logger, onProgress, signal } = options;
  const { checkpoint, describe, jobId, step } = model;
  const size = scoredAtOnce(configIn(describe, checkpoint.id).maxContext);
  const stride = options.stride ?? Math.floor(size / 2);
  if (stride >= size) {
    throw new MillraceError(
      'bad-usage',
      `Windows are of ${size} tokens, so they slide by ${size - 1} at most: say a smaller --stride.`,
    );
  }
  const tokenizer = loadTokenizer(join(checkpoint.path, 'tokenizer.json'));
  const picked = await pickWeights(model, which, merge);
  const threads = String(availableParallelism());
  const env = { TF_NUM_INTRAOP_THREADS: threads, TF_NUM_INTEROP_THREADS: threads };
  const engine = engineSchema.safeParse(describe['engine']).data;
  const room = new ExamRoom(() => startSampler({ logger, engine, env }));
  try {
    const file = { id: checkpoint.id, step, path: picked.path };
    const answers = await room.hold(file, ({ score }) => {
      const orStop: typeof score = (tokens) => {
        signal.throwIfAborted();
        return score(tokens);
      };
      return answersTo(questions, { score: orStop, tokenizer, size, stride }, onProgress);
    });
    const weights = { id: checkpoint.id, step, which: picked.which, merged: picked.of };
    return {
      event: 'evaluation',
      job: jobId,
      timestampMs: Date.now(),
      by: 'command',
      weights,
      window: size,
      stride,
      ...answers,
    };
  } finally {
    await Promise.all([room.close(), picked.dispose()]);
  }
}
