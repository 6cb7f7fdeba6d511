import { Heap } from './heap.ts';

export interface Merges {
  /** Spelling of each token by id. */
  readonly tokens: readonly string[];
  /** Ids of the two tokens that become one, in the order in which they were learnt. */
  readonly merges: readonly Merge[];
}

export type Merge = readonly [left: number, right: number];

/** GPT-2's words: no merge reaches across their borders. */
const wordPattern =
  /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

interface Word {
  ids: readonly number[];
  readonly count: number;
}

interface Candidate {
  readonly pair: number;
  readonly count: number;
}

/**
 * Learns byte-pair merges (Sennrich et al. 2016): again and again the most frequent pair of neighbours within words
 * becomes a token, until there are `vocabSize` or no pair occurs twice. `base` spells the first tokens, of which the
 * first 256 are the bytes. Two merges that spell the same make one token. Of equally frequent pairs the one with the
 * lower ids comes first, so the same texts always give the same merges.
 *
 * Done here because the trainer of npm `tokenizers` takes no options and prints to standard output.
 */
export function learnMerges(texts: readonly string[], base: readonly string[], vocabSize: number): Merges {
  const words = countWords(texts);
  const pairs = new PairCounts();
  for (const word of words) pairs.add(word);
  const tokens = [...base];
  const idOf = new Map(base.map((token, id) => [token, id]));
  const learnt = new Map<number, Merge>();
  while (tokens.length < vocabSize) {
    const pair = pairs.takeMostFrequent();
    if (pair === null) break;
    const merge = split(pair);
    const spelling = `${tokens[merge[0]]}${tokens[merge[1]]}`;
    const id = idOf.get(spelling) ?? tokens.push(spelling) - 1;
    idOf.set(spelling, id);
    // A token that another merge made already can stand in places where an old pair occurs again.
    if (!learnt.has(pair)) learnt.set(pair, merge);
    for (const word of pairs.wordsWith(pair)) {
      pairs.remove(word);
      word.ids = mergeWithin(word.ids, merge, id);
      pairs.add(word);
    }
  }
  return { tokens, merges: [...learnt.values()] };
}

function countWords(texts: readonly string[]): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.matchAll(wordPattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].map(([word, count]) => ({ ids: [...Buffer.from(word)], count }));
}

function mergeWithin(ids: readonly number[], [left, right]: Merge, id: number): number[] {
  const merged: number[] = [];
  for (const next of ids) {
    const endsWithLeft = merged.length > 0 && merged.at(-1) === left;
    if (next === right && endsWithLeft) merged[merged.length - 1] = id;
    else merged.push(next);
  }
  return merged;
}

/** How often each pair occurs in the words as they are now, and in which of them. */
class PairCounts {
  readonly #counts = new Map<number, number>();
  /** Words that hold the pair, or once did. */
  readonly #words = new Map<number, Set<Word>>();
  /** Counts as they were when pushed; outdated ones are put right when they come up. */
  readonly #candidates = new Heap<Candidate>((a, b) => a.count > b.count || (a.count === b.count && a.pair < b.pair));

  add(word: Word): void {
    for (const pair of pairsOf(word)) {
      const count = (this.#counts.get(pair) ?? 0) + word.count;
      this.#counts.set(pair, count);
      this.#candidates.push({ pair, count });
      const words = this.#words.get(pair);
      if (words) words.add(word);
      else this.#words.set(pair, new Set([word]));
    }
  }

  remove(word: Word): void {
    for (const pair of pairsOf(word)) this.#counts.set(pair, (this.#counts.get(pair) ?? 0) - word.count);
  }

  wordsWith(pair: number): readonly Word[] {
    const words = this.#words.get(pair) ?? [];
    this.#words.delete(pair);
    return [...words];
  }

  takeMostFrequent(): number | null {
    for (let top = this.#candidates.pop(); top !== undefined; top = this.#candidates.pop()) {
      const count = this.#counts.get(top.pair) ?? 0;
      if (count === top.count && count > 1) return top.pair;
      if (count < top.count && count > 1) this.#candidates.push({ pair: top.pair, count });
    }
    return null;
  }
}

/** Two ids in one number, in the order of the ids. */
const pairBase = 2 ** 26;

function* pairsOf({ ids }: Word): Iterable<number> {
  let left: number | undefined;
  for (const right of ids) {
    if (left !== undefined) yield left * pairBase + right;
    left = right;
  }
}

function split(pair: number): Merge {
  return [Math.floor(pair / pairBase), pair % pairBase];
}
