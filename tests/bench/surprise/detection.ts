/** How well scores tell odd lines from others. */
export interface Detection {
  readonly precision: number;
  readonly recall: number;
  /** Of these two, at the threshold where it is greatest. */
  readonly f1: number;
  readonly threshold: number;
  /** Mean precision over all odd ones, each at the threshold that just finds it (average precision). */
  readonly averagePrecision: number;
}

/** At least one must be odd. Lines with the same score are found together. */
export function detection(scores: readonly number[], odd: readonly boolean[]): Detection {
  const ranked = scores
    .map((score, at) => ({ score, isOdd: odd[at] === true }))
    .toSorted((one, other) => other.score - one.score);
  const all = ranked.filter(({ isOdd }) => isOdd).length;
  if (all === 0) throw new Error('No line is odd, so that nothing can be found.');
  let found = 0;
  let counted = 0;
  let averagePrecision = 0;
  let best = { precision: 0, recall: 0, f1: 0, threshold: Infinity };
  for (const [at, { score, isOdd }] of ranked.entries()) {
    if (isOdd) found += 1;
    if (ranked[at + 1]?.score === score) continue;
    const [precision, recall] = [found / (at + 1), found / all];
    averagePrecision += (precision * (found - counted)) / all;
    counted = found;
    const f1 = precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
    if (f1 > best.f1) best = { precision, recall, f1, threshold: score };
  }
  return { ...best, averagePrecision };
}
