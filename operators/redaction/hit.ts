/** What can be found and redacted. */
export const redactedKinds = ['secret', 'card', 'iban', 'email', 'phone', 'ip', 'hash'] as const;

export type RedactedKind = (typeof redactedKinds)[number];

/** A stretch of a text, `[start, end)` in UTF-16 code units, and what stands in its place afterwards. */
export interface Hit {
  readonly start: number;
  readonly end: number;
  /** Such as `<EMAIL>`. */
  readonly placeholder: string;
}

/** Finds all hits of one kind, in order and apart from each other, in time that grows with the text's length only. */
export type Finder = (text: string) => readonly Hit[];

/** Both, in order; of those found later, without any that overlaps one of the earlier. */
export function mergeHits<H extends Hit>(earlier: readonly H[], later: readonly H[]): readonly H[] {
  if (earlier.length === 0 || later.length === 0) return earlier.length === 0 ? later : earlier;
  const merged: H[] = [];
  let at = 0;
  for (const hit of later) {
    for (let next = earlier[at]; next && next.end <= hit.start; next = earlier[++at]) merged.push(next);
    const next = earlier[at];
    if (!next || hit.end <= next.start) merged.push(hit);
  }
  return [...merged, ...earlier.slice(at)];
}

/** Hits of a pattern, where `isHit` agrees with the match. */
export function hitsOf(
  text: string,
  pattern: RegExp,
  placeholder: string,
  isHit: (match: RegExpExecArray) => boolean = () => true,
): readonly Hit[] {
  const hits: Hit[] = [];
  for (const match of text.matchAll(pattern)) {
    if (isHit(match)) hits.push({ start: match.index, end: match.index + match[0].length, placeholder });
  }
  return hits;
}
