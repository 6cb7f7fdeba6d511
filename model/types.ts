/** One batch for the model. `N = rows × context` entries, row by row. */
export interface StepInput {
  readonly rows: number;
  readonly context: number;
  /** Input ids `[rows, context]`. */
  readonly ids: Int32Array;
  /** Next-token targets `[rows, context]`. */
  readonly targets: Int32Array;
  /** 1 where the target counts in the loss, else 0, `[rows, context]`. */
  readonly lossMask: Float32Array;
  /**
   * Number of the document that each position belongs to, rising within a row, `[rows, context]`. Present when
   * attention must stop at document borders.
   */
  readonly segments?: Int32Array;
}

/** What a trainer reports of one step. */
export interface StepResult {
  readonly step: number;
  /** Mean cross-entropy over the counted targets, in nats, before the update. */
  readonly loss: number;
  /** Cross-entropy of each target before the update, in nats, `[rows, context]`; 0 where it does not count. */
  readonly losses: Float32Array;
  /** Global L2 norm of the gradient before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
  /** Counted targets. */
  readonly tokens: number;
  /** True when the weights were left alone. */
  readonly skipped: boolean;
  /** Why; null where it was not skipped. */
  readonly fault: StepFault | null;
}

/** Why a step was skipped: a loss or gradient that is not finite, or one that is far beyond those of the steps before. */
export type StepFault = 'non-finite-loss' | 'loss-spike' | 'gradient-spike';

/** Text to tokens and back. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** Id of the token that stands between documents. No text is ever encoded to it. */
  readonly endOfText: number;
  /** Works aside from the caller's thread where the text is long. Equal texts give equal tokens. */
  encode(text: string): Promise<Int32Array>;
  /** Bytes of the tokens; not text, since a token may hold part of a character. */
  decode(tokens: Int32Array): Uint8Array;
}
