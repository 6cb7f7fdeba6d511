export interface PenaltySettings {
  /** Above 1 makes tokens of the prompt and the answer so far less likely (Keskar et al. 2019); 1 changes nothing. */
  readonly repetitionPenalty?: number | undefined;
  /** Taken from a token's logit for each time that the answer has it already; OpenAI's `frequency_penalty`. */
  readonly frequencyPenalty?: number | undefined;
  /** Taken once from the logit of each token that the answer has already; OpenAI's `presence_penalty`. */
  readonly presencePenalty?: number | undefined;
  /** Added to logits by token; OpenAI's `logit_bias`. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
}

/** What a request has so far: its tokens, the first `promptLength` of which are the prompt. */
export interface Said {
  readonly tokens: readonly number[];
  readonly promptLength: number;
}

/** The logits after penalties and biases, in that order; the same array when nothing changes. */
export function adjustLogits(logits: Float32Array, settings: PenaltySettings, said: Said): Float32Array {
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, logitBias = {} } = settings;
  const biases = Object.entries(logitBias);
  if (repetitionPenalty === 1 && frequencyPenalty === 0 && presencePenalty === 0 && biases.length === 0) return logits;
  const adjusted = logits.slice();
  const change = (token: number, to: (logit: number) => number): void => {
    const logit = adjusted[token];
    if (logit !== undefined) adjusted[token] = to(logit);
  };
  if (repetitionPenalty !== 1) {
    const weaker = (logit: number): number => (logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty);
    for (const token of new Set(said.tokens)) change(token, weaker);
  }
  const answer = said.tokens.slice(said.promptLength);
  for (const token of answer) change(token, (logit) => logit - frequencyPenalty);
  for (const token of new Set(answer)) change(token, (logit) => logit - presencePenalty);
  for (const [token, bias] of biases) change(Number(token), (logit) => logit + bias);
  return adjusted;
}
