import type { ChoiceFigures } from './choice-figures.ts';
import { figuresOfChoices } from './choice-figures.ts';
import type { ChoiceSet } from './read-choices.ts';
import { figuresOfText } from './text-figures.ts';
import type { TextFigures, TextScoring } from './text-figures.ts';

/** What weights are examined by. */
export interface Questions {
  readonly texts: readonly NamedText[];
  readonly choices: readonly ChoiceSet[];
}

/** A text, or several that are scored as documents of their own and counted together. */
export interface NamedText {
  readonly name: string;
  readonly texts: readonly string[];
}

/** What an exam has come to, as topic `evaluations` has it. `infra/avro/evaluation.avsc` says what the fields mean. */
export interface Evaluation {
  readonly event: 'evaluation';
  readonly job: string;
  readonly timestampMs: number;
  readonly by: 'command' | 'graph';
  readonly weights: EvaluatedWeights;
  readonly window: number;
  readonly stride: number;
  readonly texts: readonly TextResult[];
  readonly choices: readonly ChoiceResult[];
}

export interface EvaluatedWeights {
  readonly id: string;
  readonly step: number;
  readonly which: 'last' | 'ema';
  readonly merged: readonly string[];
}

export interface TextResult extends TextFigures {
  readonly name: string;
  /** Null where it is no number. */
  readonly bitsPerByte: number | null;
}

export interface ChoiceResult extends ChoiceFigures {
  readonly name: string;
}

/** Holds an exam; `onProgress` is told what is being scored, and the share of it that is done. */
export async function answersTo(
  { texts, choices }: Questions,
  scoring: TextScoring,
  onProgress: (name: string, share: number) => void = () => {},
): Promise<Pick<Evaluation, 'texts' | 'choices'>> {
  const textResults: TextResult[] = [];
  for (const text of texts) textResults.push(await resultOfText(text, scoring, onProgress));
  const choiceResults: ChoiceResult[] = [];
  for (const { name, items } of choices) {
    const figures = await figuresOfChoices(items, scoring, (share) => onProgress(name, share));
    choiceResults.push({ name, ...figures });
  }
  return { texts: textResults, choices: choiceResults };
}

async function resultOfText(
  { name, texts }: NamedText,
  scoring: TextScoring,
  onProgress: (name: string, share: number) => void,
): Promise<TextResult> {
  const whole = texts.reduce((sum, text) => sum + text.length, 0);
  let before = 0;
  let sum: TextFigures = { tokens: 0, bytes: 0, bits: 0 };
  for (const text of texts) {
    const { tokens, bytes, bits } = await figuresOfText(text, scoring, (share) =>
      onProgress(name, (before + share * text.length) / whole),
    );
    before += text.length;
    sum = { tokens: sum.tokens + tokens, bytes: sum.bytes + bytes, bits: sum.bits + bits };
  }
  const bitsPerByte = sum.bits / sum.bytes;
  return Number.isFinite(bitsPerByte) ? { name, ...sum, bitsPerByte } : { name, ...sum, bits: 0, bitsPerByte: null };
}
