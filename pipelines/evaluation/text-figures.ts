import { asDocument } from './scorer.ts';
import type { Scoring } from './scorer.ts';
import { logProbabilityOf } from './windows.ts';

/** How well a text was predicted. */
export interface TextFigures {
  /** Tokens that were predicted. */
  readonly tokens: number;
  /** Of the text in UTF-8. */
  readonly bytes: number;
  /** Bits that it takes to say the text, given the model. */
  readonly bits: number;
}

export interface TextScoring extends Scoring {
  /** See `windowsOf`. */
  readonly stride: number;
}

/**
 * Scores a text as a document of its own: its first token is predicted from an end of text, the end of text behind it does not
 * count. `onProgress` is told the share that is done.
 */
export async function figuresOfText(
  text: string,
  scoring: TextScoring,
  onProgress: (share: number) => void = () => {},
): Promise<TextFigures> {
  const { tokenizer } = scoring;
  const document = asDocument(await tokenizer.encode(text), tokenizer);
  const tokens = document.length - 1;
  let done = 0;
  const nats = await logProbabilityOf(document, tokens, scoring, (count) => {
    done += count;
    onProgress(done / tokens);
  });
  return { tokens, bytes: Buffer.byteLength(text), bits: -nats / Math.LN2 };
}
