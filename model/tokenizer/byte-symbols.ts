/**
 * Byte-level vocabularies spell bytes as printable characters, so that any bytes can stand in JSON. The spelling is
 * GPT-2's (Radford et al. 2019): printable Latin-1 stands for itself, the rest for U+0100 and up, in order.
 */
export const symbolOfByte: readonly string[] = spellBytes();

const byteOfSymbol: ReadonlyMap<string, number> = new Map(symbolOfByte.map((symbol, byte) => [symbol, byte]));

/** Bytes that a token spells; null when it holds a character that spells none. */
export function bytesOfToken(token: string): Uint8Array | null {
  const bytes: number[] = [];
  for (const symbol of token) {
    const byte = byteOfSymbol.get(symbol);
    if (byte === undefined) return null;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

function spellBytes(): string[] {
  let unprintable = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : 0x100 + unprintable++),
  );
}

function isPrintable(byte: number): boolean {
  return (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte <= 0xff && byte !== 0xad);
}
