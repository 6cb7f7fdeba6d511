/** Numbers in [0, 1) from a seed (mulberry32), so that what chance did can be done again. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed that MILLRACE_SEED asks for, else a new one; printed, so that a failure can be repeated. */
export function printedSeed(test: string): number {
  const seed = Number(process.env['MILLRACE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${test}: MILLRACE_SEED=${seed}`);
  return seed;
}
