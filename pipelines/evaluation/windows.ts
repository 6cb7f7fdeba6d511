import type { Scorer } from './scorer.ts';

/** A part of a text that is scored at once: tokens `[from, to)`, of which those from `counted` on count. */
export interface ScoredWindow {
  readonly from: number;
  readonly counted: number;
  readonly to: number;
}

/**
 * Windows of at most `size` tokens that slide by `stride` (1 to size − 1), so that each token but the first counts once.
 * The first one counts all that it can; in each one behind it, a token that counts has at least `size − stride` before it.
 * So a smaller stride gives more context, and takes longer.
 */
export function windowsOf(length: number, size: number, stride: number): readonly ScoredWindow[] {
  const windows: ScoredWindow[] = [];
  for (let counted = 1, to = Math.min(size, length); counted < length; to = Math.min(to + stride, length)) {
    windows.push({ from: Math.max(0, to - size), counted, to });
    counted = to;
  }
  return windows;
}

/**
 * Natural logarithm of the probability of the last tokens of a text, as many as `own`, given those before them: as many as a
 * window holds. `own` of all tokens but the first are the whole text. `onCounted` is told how many have been scored since.
 */
export async function logProbabilityOf(
  tokens: Int32Array,
  own: number,
  { score, size, stride }: { readonly score: Scorer; readonly size: number; readonly stride: number },
  onCounted: (count: number) => void = () => {},
): Promise<number> {
  // What is further back than one window would only be scored for nothing.
  const part = tokens.subarray(Math.max(0, tokens.length - Math.max(size, own + 1)));
  const first = part.length - own;
  let sum = 0;
  for (const { from, counted, to } of windowsOf(part.length, size, stride)) {
    const begin = Math.max(counted, first);
    if (begin >= to) continue;
    const probabilities = await score(part.slice(from, to));
    for (let at = begin; at < to; at++) sum += probabilities[at - from - 1] ?? Number.NaN;
    onCounted(to - begin);
  }
  return sum;
}
