import { Observable } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Element, Uid } from './flow.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { listen } from './listen.ts';
import type { DeadLetters, Trainer } from './ports.ts';
import { respellBatch } from './respell-batch.ts';
import { TrainLoop } from './train-loop.ts';
import { trainStateSchema, withoutOffsets } from './train-state.ts';
import type { StepReport, TokenBatch } from './types.ts';

export interface TrainStepOptions {
  readonly uid?: Uid;
  /** Where the records of a batch go whose loss or gradient was not finite. Without it, such a batch is only skipped. */
  readonly deadLetters?: DeadLetters;
  /** Batches that the trainer has at once; with two it never waits for the next one. */
  readonly depth?: number;
  /** Asks for a final cut after so many steps of the job's life, and takes none beyond. */
  readonly maxSteps?: number;
}

/**
 * Trains on each batch and emits what the step did. The reported loss is from before the update.
 *
 * Order: kept. Backpressure: a batch's bytes go back when its step is done. Errors: the trainer's end the flow; a batch
 * without a finite loss is undone by the trainer, its records go to the dead letters. Completion: after the last step.
 * Snapshot: weights, optimizer and counters, how far text was learnt, and the batches that wait. A barrier overtakes those (Flink's unaligned
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
      const { uid = 'train', depth = 2, maxSteps = Infinity, deadLetters } = options;
      return listen(flow, new TrainLoop({ uid, trainer, deadLetters, depth, maxSteps }, subscriber), subscriber);
    });
}

export const trainStepKind: OperatorKind = defineKind({
  kind: 'trainStep',
  summary: 'Trains on each batch: first the exam, then the lesson.',
  input: 'token-batch',
  output: 'step-report',
  state: 'weights, optimizer, counters, and the batches that wait',
  config: z.strictObject({
    depth: z.int().positive().default(2).describe('Batches that the trainer has at once.'),
  }),
  migrationOf: ({ model, hasOtherTokens }) => {
    const does = [...(model ? [model.does] : []), ...(hasOtherTokens ? ['rows of shared tokens kept'] : [])];
    return does.length > 0 ? { does: does.join('; '), refused: model?.refused ?? null, loses: [] } : null;
  },
  forked: (_uid, snapshot, keepsOffsets) => (keepsOffsets ? snapshot : withoutOffsets(snapshot)),
  respelled: (snapshot, respelling) => {
    const { waiting, ...state } = trainStateSchema.parse(snapshot.state);
    const anew = waiting.flatMap(({ counts, ...batch }) =>
      respellBatch(batch, respelling).map((each) => ({ ...each, ...(counts ? { counts } : {}) })),
    );
    return { ...snapshot, state: z.json().parse({ ...state, waiting: anew, vocabulary: respelling.rows }) };
  },
  build: (uid, config, { trainer, deadLetters, maxSteps }) =>
    trainStep(trainer, { uid, ...config, deadLetters, maxSteps }),
});
