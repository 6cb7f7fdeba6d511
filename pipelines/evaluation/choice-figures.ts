import type { Choice, ChoiceItem } from './choice-item.ts';
import { asDocument } from './scorer.ts';
import type { Scoring } from './scorer.ts';
import { logProbabilityOf } from './windows.ts';

/** Shares of items that were right, by several ways to choose; null where there are no items. */
export interface ChoiceFigures {
  readonly items: number;
  /** The likeliest choice is chosen: lm-evaluation-harness's `acc`. */
  readonly accuracy: number | null;
  /** By log-probability for each character, the parting space left out: its `acc_norm`. */
  readonly accuracyPerCharacter: number | null;
  /** By log-probability for each byte of all that is scored, so that short choices do not always win. */
  readonly accuracyPerByte: number | null;
  /** By how much likelier the context makes a choice than it is by itself: its `acc_mutual_info`. */
  readonly accuracyUnconditional: number | null;
}

type Way = Exclude<keyof ChoiceFigures, 'items'>;
type Outcome = Readonly<Record<Way, boolean>>;

/**
 * Has a model choose. A choice that is only as likely as another is not chosen, and one whose likelihood is no number neither.
 * `onProgress` is told the share that is done.
 */
export async function figuresOfChoices(
  items: readonly ChoiceItem[],
  scoring: Scoring,
  onProgress: (share: number) => void = () => {},
): Promise<ChoiceFigures> {
  const outcomes: Outcome[] = [];
  for (const item of items) {
    outcomes.push(await outcomeOf(item, scoring));
    onProgress(outcomes.length / items.length);
  }
  const share = (way: Way): number | null =>
    items.length === 0 ? null : outcomes.filter((outcome) => outcome[way]).length / items.length;
  return {
    items: items.length,
    accuracy: share('accuracy'),
    accuracyPerCharacter: share('accuracyPerCharacter'),
    accuracyPerByte: share('accuracyPerByte'),
    accuracyUnconditional: share('accuracyUnconditional'),
  };
}

async function outcomeOf({ choices, answer }: ChoiceItem, scoring: Scoring): Promise<Outcome> {
  const scored = await Promise.all(choices.map((choice) => scoresOf(choice, scoring)));
  const isRight = (way: Way): boolean =>
    scored.every((other, at) => at === answer || (scored[answer]?.[way] ?? Number.NaN) > other[way]);
  return {
    accuracy: isRight('accuracy'),
    accuracyPerCharacter: isRight('accuracyPerCharacter'),
    accuracyPerByte: isRight('accuracyPerByte'),
    accuracyUnconditional: isRight('accuracyUnconditional'),
  };
}

/** What a choice is measured by in each of the ways. */
async function scoresOf({ context, continuation }: Choice, scoring: Scoring): Promise<Readonly<Record<Way, number>>> {
  const { tokenizer, size } = scoring;
  const [before, whole] = await Promise.all([tokenizer.encode(context), tokenizer.encode(context + continuation)]);
  // A token may reach from the context into the choice: then it is the choice's.
  const parted = whole.findIndex((token, at) => token !== before[at]);
  const own = whole.subarray(parted < 0 ? whole.length : parted);
  const windows = { ...scoring, stride: Math.ceil(size / 2) };
  const likelihoodBehind = (tokens: Int32Array): Promise<number> =>
    logProbabilityOf(asDocument(tokens, tokenizer), own.length, windows);
  const [likelihood, alone] = await Promise.all([likelihoodBehind(whole), likelihoodBehind(own)]);
  return {
    accuracy: likelihood,
    accuracyPerCharacter: likelihood / continuation.trim().length,
    accuracyPerByte: likelihood / Buffer.byteLength(continuation),
    accuracyUnconditional: likelihood - alone,
  };
}
