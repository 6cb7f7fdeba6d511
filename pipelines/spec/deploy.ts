import { z } from 'zod';
import { durationSchema } from '../../operators/units.ts';
import type { Duration } from '../../operators/units.ts';

/** How much worse than the graph before a new one may do while it is watched. */
export interface Bars {
  /** Times the bits per byte of the old graph. */
  readonly bitsPerByte: number;
  /** Dead letters that a record makes beyond those that it made under the old graph. */
  readonly deadLetters: number;
  /** Times the lag at the cut; up to a thousand records do not matter. */
  readonly lag: number;
  /** Times the tokens per second of the old graph, while there was something to train. */
  readonly tokensPerSecond: number;
  /** How often the stream that trains may have to be started again. */
  readonly restarts: number;
}

/** What a graph says of how it is to be deployed. */
export interface DeploySpec {
  /** How long it is watched after the cut; not at all if absent. */
  readonly watch?: Duration | undefined;
  readonly bars: Bars;
}

const count = z.int().nonnegative();
const factor = z.number().nonnegative();

export const barsSchema: z.ZodType<Bars> = z.strictObject({
  bitsPerByte: factor.default(1.1),
  deadLetters: factor.default(0.01),
  lag: factor.default(2),
  tokensPerSecond: factor.default(0.5),
  restarts: count.default(0),
});

/** Some of them. */
export const partialBarsSchema: z.ZodType<Partial<Bars>> = z.strictObject({
  bitsPerByte: factor.exactOptional(),
  deadLetters: factor.exactOptional(),
  lag: factor.exactOptional(),
  tokensPerSecond: factor.exactOptional(),
  restarts: count.exactOptional(),
});

export const deploySchema: z.ZodType<DeploySpec> = z.strictObject({
  watch: durationSchema.optional(),
  bars: barsSchema.prefault({}),
});

/** The bars of a graph, or the usual ones, with some changed. */
export function withBars(bars: Bars = barsSchema.parse({}), changed: Partial<Bars> = {}): Bars {
  return { ...bars, ...changed };
}
