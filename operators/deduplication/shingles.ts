/** Whether a UTF-16 code unit is of a word: of letters, digits and marks; halves of pairs count as such. */
const isOfWord = Uint8Array.from({ length: 0x10000 }, (_, code) =>
  Number(/[\p{L}\p{N}\p{M}\p{Cs}]/u.test(String.fromCharCode(code))),
);

/**
 * Hashes of all runs of `size` words, in order (the shingles of Broder 1997). Case, and whatever stands between words, makes
 * no difference. A text of fewer words is one shingle, one without any words has none.
 */
export function shinglesOf(text: string, size: number): Int32Array {
  const words = wordHashes(text.toLowerCase());
  if (words.length === 0) return words;
  const length = Math.min(size, words.length);
  const shingles = new Int32Array(words.length - length + 1);
  for (let start = 0; start < shingles.length; start++) {
    let hash = 0;
    for (let at = start; at < start + length; at++) hash = Math.imul(hash, 0x9e3779b1) + (words[at] ?? 0);
    shingles[start] = mix(hash);
  }
  return shingles;
}

/** Spreads a change of any bit over all (the end of MurmurHash3, Appleby). */
export function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** FNV-1a of each word. */
function wordHashes(text: string): Int32Array {
  const hashes = new Int32Array((text.length >> 1) + 1);
  let count = 0;
  let hash = 0;
  let isInWord = false;
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : 0x20;
    if (isOfWord[code] === 1) {
      hash = Math.imul((isInWord ? hash : 0x811c9dc5) ^ code, 0x01000193);
      isInWord = true;
    } else if (isInWord) {
      hashes[count++] = hash;
      isInWord = false;
    }
  }
  return hashes.subarray(0, count);
}
