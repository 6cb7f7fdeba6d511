/** Reads what Kafka's protocol is made of, one thing after the other. Throws a `RangeError` beyond the end. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  skip(length: number): void {
    this.#at += length;
  }

  int8(): number {
    const value = this.#bytes.readInt8(this.#at);
    this.#at += 1;
    return value;
  }

  int16(): number {
    const value = this.#bytes.readInt16BE(this.#at);
    this.#at += 2;
    return value;
  }

  int32(): number {
    const value = this.#bytes.readInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  /** As a number: offsets, timestamps and ids stay below 2^53. */
  int64(): number {
    const high = this.#bytes.readInt32BE(this.#at);
    const low = this.#bytes.readUInt32BE(this.#at + 4);
    this.#at += 8;
    return high * 2 ** 32 + low;
  }

  /** Seven bits a byte, the lowest first, signs folded in. */
  varint(): number {
    let byte = this.#byte();
    let folded = byte & 0x7f;
    for (let weight = 2 ** 7; byte > 0x7f; weight *= 2 ** 7) {
      byte = this.#byte();
      folded += (byte & 0x7f) * weight;
    }
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }

  /** A view; null for a length of -1. */
  bytes(length: number): Buffer | null {
    if (length < 0) return null;
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError(`${length} bytes from ${this.#at} on are not there.`);
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  string(): string {
    return this.bytes(this.int16())?.toString() ?? '';
  }

  array<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, read);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError(`There is no byte ${this.#at - 1}.`);
    return byte;
  }
}
