export interface ChooseSettings {
  /** Below 1 sharpens, above 1 flattens; 0 always takes the likeliest. */
  readonly temperature: number;
  /** Only the k likeliest tokens; 0 for all. */
  readonly topK: number;
  /** Only the likeliest tokens that together reach this probability (Holtzman et al. 2020); 1 for all. */
  readonly topP: number;
}

/**
 * The next token, drawn from softmax(logits / temperature) within top-k and then top-p. `uniform` in `[0, 1)` decides;
 * the function itself has no randomness. Among equal logits the lower token comes first.
 */
export function chooseToken(logits: Float32Array, settings: ChooseSettings, uniform: number): number {
  const best = likeliest(logits);
  if (settings.temperature === 0) return best;
  const top = logits[best] ?? 0;
  const tokens = candidates(logits, settings);
  const weights = tokens.map((token) => Math.exp(((logits[token] ?? -Infinity) - top) / settings.temperature));
  const kept = settings.topP < 1 ? nucleusSize(weights, settings.topP) : weights.length;
  const total = sum(weights.slice(0, kept));

  let left = uniform * total;
  for (let i = 0; i < kept; i++) {
    left -= weights[i] ?? 0;
    if (left < 0) return tokens[i] ?? best;
  }
  return best;
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) {
    if ((logits[token] ?? -Infinity) > (logits[best] ?? -Infinity)) best = token;
  }
  return best;
}

/** All tokens where nothing is cut off, else the k likeliest, best first. */
function candidates(logits: Float32Array, { topK, topP }: ChooseSettings): number[] {
  const tokens = Array.from(logits, (_, token) => token);
  if (topK === 0 && topP >= 1) return tokens;
  tokens.sort((a, b) => (logits[b] ?? -Infinity) - (logits[a] ?? -Infinity) || a - b);
  return topK > 0 ? tokens.slice(0, topK) : tokens;
}

/** How many of the sorted weights it takes to reach the share; at least one. */
function nucleusSize(weights: readonly number[], share: number): number {
  const goal = share * sum(weights);
  let reached = 0;
  const last = weights.findIndex((weight) => (reached += weight) >= goal);
  return last < 0 ? weights.length : last + 1;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
