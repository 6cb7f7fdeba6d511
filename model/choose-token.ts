export interface ChooseSettings {
  /** Below 1 sharpens, above 1 flattens; 0 always takes the likeliest. */
  readonly temperature: number;
  /** Only the k likeliest tokens; 0 for all. */
  readonly topK: number;
  /** Only the likeliest tokens that together reach this probability (Holtzman et al. 2020); 1 for all. */
  readonly topP: number;
  /** Only tokens at least this likely, as a share of the likeliest one's probability (Nguyen et al. 2024); 0 for all. */
  readonly minP?: number | undefined;
}

/**
 * The next token, drawn from softmax(logits / temperature) within top-k, then top-p, then min-p. `uniform` in `[0, 1)`
 * decides; the function itself has no randomness. Among equal logits the lower token comes first.
 */
export function chooseToken(logits: Float32Array, settings: ChooseSettings, uniform: number): number {
  const best = likeliest(logits);
  if (settings.temperature === 0) return best;
  const top = logits[best] ?? 0;
  // The likeliest token's weight is 1.
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - top) / settings.temperature));
  const kept = keptTokens(weights, settings);
  let left = uniform * kept.reduce((total, token) => total + (weights[token] ?? 0), 0);
  for (const token of kept) {
    left -= weights[token] ?? 0;
    if (left < 0) return token;
  }
  return best;
}

export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) {
    if ((logits[token] ?? -Infinity) > (logits[best] ?? -Infinity)) best = token;
  }
  return best;
}

/** The `count` tokens of the greatest weight, best first; the lower one of two equals. */
export function bestTokens(weights: Float64Array, count: number): number[] {
  return bestFirst(weights, (found) => found >= count).slice(0, count);
}

/** All tokens in their order where nothing is cut off, else the kept ones, best first. */
function keptTokens(weights: Float64Array, { topK, topP, minP = 0 }: ChooseSettings): number[] {
  if (topK === 0 && topP >= 1 && minP === 0) return Array.from(weights.keys());
  const limit = topK === 0 ? weights.length : topK;
  const share = topP * sum(weights);
  const isShareOfAll = topK === 0 && topP < 1;
  const best = bestFirst(weights, (found, reached) => found >= limit || (isShareOfAll && reached >= share));
  const likely = best.slice(0, limit);
  const goal = isShareOfAll ? share : topP * sum(likely.map((token) => weights[token] ?? 0));
  let reached = 0;
  const last = topP < 1 ? likely.findIndex((token) => (reached += weights[token] ?? 0) >= goal) : -1;
  const nucleus = last < 0 ? likely : likely.slice(0, last + 1);
  return nucleus.filter((token) => (weights[token] ?? 0) >= minP);
}

/**
 * Tokens best first, as many as are enough: lowers a bar until they are, since a few hundred matter where a vocabulary
 * has tens of thousands, and sorting all of them for every token would cost more than the model.
 */
function bestFirst(weights: Float64Array, isEnough: (found: number, reached: number) => boolean): number[] {
  for (let bar = FIRST_BAR; ; bar = bar < LAST_BAR ? 0 : bar / 100) {
    const tokens: number[] = [];
    let reached = 0;
    for (let token = 0; token < weights.length; token++) {
      const weight = weights[token] ?? 0;
      if (weight < bar) continue;
      tokens.push(token);
      reached += weight;
    }
    if (bar === 0 || isEnough(tokens.length, reached)) {
      return tokens.toSorted((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
    }
  }
}

const FIRST_BAR = 0.01;
const LAST_BAR = 1e-12;

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
