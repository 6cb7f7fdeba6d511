import { deflateRawSync } from 'node:zlib';

/** How odd each line is, by what came before it: the higher, the odder. */
export type Scores = readonly number[];

const WINDOW_BYTES = 32 * 1024;

/**
 * Bits per byte that gzip's method (deflate, level 9) needs for a line behind the text before it, of which it sees 32 KB: the
 * distance that compressors give (Benedetto, Caglioti and Loreto, Language Trees and Zipping, 2002), kept up line by line.
 */
export function gzipScores(lines: readonly string[]): Scores {
  let before = Buffer.alloc(0);
  return lines.map((line) => {
    const text = Buffer.from(`${line}\n`);
    const packed = deflateRawSync(text, { level: 9, dictionary: before.length > 0 ? before : Buffer.from(' ') });
    before = Buffer.concat([before, text]).subarray(-WINDOW_BYTES);
    return (8 * packed.length) / text.length;
  });
}

/**
 * Mean surprise of a line's words in bits, by how often each has come before it (with one added to each count): numbers are one
 * word, as parsers of logs have it.
 */
export function frequencyScores(lines: readonly string[]): Scores {
  const counts = new Map<string, number>();
  let seen = 0;
  return lines.map((line) => {
    const words = line.replaceAll(/\d+/g, '0').match(/\w+|[^\w\s]/g) ?? [];
    const bits = words.map((word) => -Math.log2(((counts.get(word) ?? 0) + 1) / (seen + counts.size + 1)));
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    seen += words.length;
    return bits.reduce((sum, each) => sum + each, 0) / Math.max(1, bits.length);
  });
}
