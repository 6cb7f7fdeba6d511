/**
 * Chooses partitions as Kafka's default partitioner does: records with a key by its hash, so that equal keys keep their
 * order, records without a key in turn.
 */
export class Partitioner {
  readonly #turns = new Map<string, number>();

  choose(topic: string, partitions: number, key: Uint8Array | null): number {
    if (key) return (murmur2(key) & 0x7fffffff) % partitions;
    const turn = this.#turns.get(topic) ?? 0;
    this.#turns.set(topic, turn + 1);
    return turn % partitions;
  }
}

const MULTIPLIER = 0x5bd1e995;
const SEED = 0x9747b28c;

/** MurmurHash2, 32 bits, with the seed that Kafka's clients use. Returns a signed integer. */
export function murmur2(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const wholeWords = data.length & ~3;
  let hash = SEED ^ data.length;
  for (let at = 0; at < wholeWords; at += 4) {
    const word = Math.imul(view.getInt32(at, true), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word ^ (word >>> 24), MULTIPLIER);
  }
  if (data.length > wholeWords) {
    for (let at = data.length - 1; at >= wholeWords; at -= 1) hash ^= view.getUint8(at) << (8 * (at - wholeWords));
    hash = Math.imul(hash, MULTIPLIER);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}
