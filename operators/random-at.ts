/**
 * The number at a place of an endless sequence, uniform in `[0, 1)`. It depends on seed and place alone, so that a counter
 * is all of its state. The mixing is SplitMix32's (Steele, Lea and Flood 2014, with the constants of TheIronBorn).
 */
export function randomAt(seed: number, place: number): number {
  const high = mixed(seed ^ Math.floor(place / 2 ** 32));
  return mixed(high + Math.imul(place | 0, 0x9e3779b9)) / 2 ** 32;
}

function mixed(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}
