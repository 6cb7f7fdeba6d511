import { Observable } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Element, Uid } from './flow.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { listen } from './listen.ts';
import type { DeadLetters, Trainer } from './ports.ts';
import { respellBatch } from './respell-batch.ts';
import { GUARDED, guardSchema } from './train-guard.ts';
import type { TrainGuard } from './train-guard.ts';
import { TrainLoop } from './train-loop.ts';
import { trainStateSchema, withoutOffsets } from './train-state.ts';
import type { StepReport, TokenBatch } from './types.ts';

export interface TrainStepOptions {
  readonly uid?: Uid;
  /** Where the records of a batch go that can't be learnt. Without it, such a batch is only skipped. */
  readonly deadLetters?: DeadLetters;
  /** Batches that the trainer has at once; with two it never waits for the next one. */
  readonly depth?: number;
  /** Asks for a final cut after so many steps of the job's life, and takes none beyond. */
  readonly maxSteps?: number;
  /** Which steps are skipped, and when they are tried again. Without it, those that are not finite, and never. */
  readonly guard?: TrainGuard | null;
}

/**
 * Trains on each batch and emits what the step did. The reported loss is from before the update.
 *
 * Order: kept. Backpressure: a batch's bytes go back when its step is done. Errors: the trainer's end the flow; a batch
 * that would spoil the weights is skipped, set aside, and tried once more after some further steps; where it is skipped again,
 * its records go to the dead letters. Completion: after the last step.
 * Snapshot: weights, optimizer and counters, how far text was learnt, the batches that wait, and those set aside. A barrier overtakes those (Flink's unaligned
 * barriers), so that a cut never takes longer than the steps under way, however much is in flight. Training goes on while
 * the snapshot's files are written, unless the cut is to be the last: the barrier leaves when they are, and what is done
 * meanwhile is reported behind it. A barrier for `deploy` leaves at once, and has its files when `writing` resolves; what it
 * changes is told between two steps, and what follows is reported when that counts.
 * Ticks overtake what waits too, but never another mark; so they do not recur at the same place behind this operator.
 *
 * @example
 * flow.pipe(trainStep(await startTrainer(settings), { maxSteps: 1000 }))
 */
export function trainStep(
  trainer: Trainer,
  options: TrainStepOptions = {},
): OperatorFunction<Element<TokenBatch>, Element<StepReport>> {
  return (flow) =>
    // A queue that barriers overtake and a limit on steps under way: no composition of RxJS operators has both.
    new Observable((subscriber) => {
      const { uid = 'train', depth = 2, maxSteps = Infinity, guard = null, deadLetters } = options;
      return listen(flow, new TrainLoop({ uid, trainer, deadLetters, depth, maxSteps, guard }, subscriber), subscriber);
    });
}

export const trainStepKind: OperatorKind = defineKind({
  kind: 'trainStep',
  summary: 'Trains on each batch: first the exam, then the lesson.',
  input: 'token-batch',
  output: 'step-report',
  state: 'weights, optimizer, counters, and the batches that wait or are to be tried again',
  config: z.strictObject({
    depth: z.int().positive().default(2).describe('Batches that the trainer has at once.'),
    guard: z
      .union([guardSchema, z.literal(false)])
      .default(GUARDED)
      .describe(
        'Skips steps that would spoil the weights; `retryAfter` steps later their text is tried once more. `false`: only those that are not finite, and their records are dead letters at once.',
      ),
  }),
  migrationOf: ({ model, hasOtherTokens }) => {
    const does = [...(model ? [model.does] : []), ...(hasOtherTokens ? ['rows of shared tokens kept'] : [])];
    return does.length > 0 ? { does: does.join('; '), refused: model?.refused ?? null, loses: [] } : null;
  },
  forked: (_uid, snapshot, keepsOffsets) => (keepsOffsets ? snapshot : withoutOffsets(snapshot)),
  respelled: (snapshot, respelling) => {
    const state = trainStateSchema.parse(snapshot.state);
    const waiting = state.waiting.flatMap(({ counts, ...batch }) =>
      respellBatch(batch, respelling).map((each) => ({ ...each, ...(counts ? { counts } : {}) })),
    );
    const setAside = state.setAside.flatMap(({ dueAt, batch }) =>
      respellBatch(batch, respelling).map((anew) => ({ dueAt, batch: anew })),
    );
    return { ...snapshot, state: z.json().parse({ ...state, waiting, setAside, vocabulary: respelling.rows }) };
  },
  build: (uid, config, { trainer, deadLetters, maxSteps }) =>
    trainStep(trainer, { uid, ...config, guard: config.guard || null, deadLetters, maxSteps }),
});
