import { defer } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Element, Uid } from './flow.ts';
import { isItem } from './flow.ts';
import { heldOutSchema } from './held-out-spec.ts';
import type { HeldOutSpec } from './held-out-spec.ts';
import { inOrder } from './in-order.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { readState } from './stateful.ts';
import type { Json } from './types.ts';

export interface EvaluateOptions {
  readonly uid?: Uid;
  /** Cuts from one exam to the next; 1 when absent. */
  readonly everyCheckpoints?: number;
  /** Items from one exam to the next, each of which is held at a cut that is asked for; goes before `everyCheckpoints`. */
  readonly everySteps?: number;
}

/** What it puts into a cut. */
interface EvaluateState {
  /** Cuts, or items, since the last exam that was due. */
  readonly since: number;
  /** Whether the weights of this cut are to be examined. */
  readonly isDue: boolean;
}

const stateSchema: z.ZodType<EvaluateState> = z.object({ since: z.int().nonnegative(), isDue: z.boolean() });

/**
 * Says of which cuts the weights are to be examined: it is part of the cut, so that whoever holds the exams, beside the stream
 * and at their own pace, knows it after a restart too. Everything passes.
 *
 * Order: kept. Backpressure: none of its own. Errors: none of its own. Snapshot: the count, and whether the cut is due. A cut
 * for `deploy` never is: the next one is in its place.
 *
 * @example
 * flow.pipe(trainStep(trainer), evaluate({ everySteps: 1000 }), checkpoint(store))
 */
export function evaluate<T>(options: EvaluateOptions = {}): OperatorFunction<Element<T>, Element<T>> {
  const { uid = 'evaluate', everyCheckpoints = 1, everySteps } = options;
  return (flow) =>
    defer(() => {
      let since = 0;
      let isAsked = false;
      const pass = (element: Element<T>): readonly Element<T>[] => {
        if (isItem(element) && everySteps !== undefined) {
          since += 1;
          if (since >= everySteps && !isAsked) element.source.requestCut('steps');
          isAsked = since >= everySteps;
        }
        if (element.kind === 'restore') {
          const snapshot = element.states.get(uid);
          since = snapshot ? readState(uid, () => stateSchema.parse(snapshot.state)).since : 0;
          isAsked = false;
        }
        if (element.kind === 'barrier') {
          const isCounted = element.reason !== 'deploy';
          if (isCounted && everySteps === undefined) since += 1;
          const isDue = isCounted && since >= (everySteps ?? everyCheckpoints);
          if (isDue) {
            since = 0;
            isAsked = false;
          }
          element.basket.set(uid, { state: { since, isDue } });
        }
        return [element];
      };
      return flow.pipe(inOrder<T, T>(pass));
    });
}

/** Whether the state that it put into a cut says that the cut's weights are to be examined. */
export function isDueIn(state: Json | undefined): boolean {
  return stateSchema.safeParse(state).data?.isDue ?? false;
}

/** What a graph says of its exams. */
export interface EvaluateConfig {
  readonly everyCheckpoints: number;
  readonly everySteps?: number | undefined;
  readonly heldOut: readonly HeldOutSpec[];
  /** `shipped`, `none`, or a file. */
  readonly cloze: string;
  /** Files of items. */
  readonly choices: readonly string[];
  readonly weights: 'spoken' | 'last' | 'ema';
  readonly topic: string;
}

const configShape = z.strictObject({
  everyCheckpoints: z.int().positive().default(5).describe('Checkpoints from one exam to the next.'),
  everySteps: z
    .int()
    .positive()
    .optional()
    .describe('Steps from one exam to the next, at a checkpoint of its own; goes before everyCheckpoints.'),
  heldOut: z
    .union([z.array(heldOutSchema), heldOutSchema.transform((each) => [each])])
    .default([])
    .describe(
      'Text to be predicted, one or a list: { topic } that nothing trains on or holdout keeps apart, or { file }; bytes: 16KB of it.',
    ),
  cloze: z.string().min(1).default('shipped').describe('Cloze items: shipped, none, or a file.'),
  choices: z
    .array(z.string().min(1))
    .default([])
    .describe('Files of items with several choices, as millrace eval reads them.'),
  weights: z
    .enum(['spoken', 'last', 'ema'])
    .default('spoken')
    .describe('Those that speak, those of the last step, or their running mean.'),
  topic: z.string().min(1).default('evaluations').describe('Topic that gets the results; made when missing.'),
});

export const evaluateConfigSchema: z.ZodType<EvaluateConfig> = configShape;

export const evaluateKind: OperatorKind = defineKind({
  kind: 'evaluate',
  summary:
    'Has the weights of each n-th checkpoint examined beside the training; the results are records, one for each.',
  input: 'step-report',
  output: 'step-report',
  state: 'when the next exam is due',
  config: configShape,
  // A job of its own begins with exams of its own.
  forked: () => null,
  build: (uid, { everyCheckpoints, everySteps }) =>
    evaluate({ uid, everyCheckpoints, ...(everySteps === undefined ? {} : { everySteps }) }),
});
