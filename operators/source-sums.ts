import { z } from 'zod';
import type { Exam, Json, SourceFigures, StepTotals } from './types.ts';

/** Steps of a source that its window holds: few enough to be news, enough to be steady. */
const WINDOW_STEPS = 100;

const NOTHING: StepTotals = { tokens: 0, bytes: 0, bits: 0 };

/** What was examined of one topic, as cuts hold it. */
export interface SourceState {
  totals: StepTotals;
  /** Bytes and bits of its last steps. */
  recent: [bytes: number, bits: number][];
}

export const sourceStateSchema: z.ZodType<SourceState> = z.object({
  totals: z.object({ tokens: z.int(), bytes: z.int(), bits: z.number() }),
  recent: z.array(z.tuple([z.number(), z.number()])),
});

/** Sums of what was examined, by topic. As bounded as the topics are that a graph reads. */
export class SourceSums {
  readonly #sources: Map<string, SourceState>;

  constructor(sources: Readonly<Record<string, SourceState>> = {}) {
    this.#sources = new Map(Object.entries(sources));
  }

  /** Counts a step's exam; returns the figures of the topics in it. */
  add({ pieces, lossMask, losses }: Exam): Readonly<Record<string, SourceFigures>> {
    const steps = new Map<string, StepTotals>();
    for (const { at, from, to, bytes } of pieces) {
      const before = steps.get(at.topic) ?? NOTHING;
      const { tokens, bits } = examined(losses.subarray(from, to), lossMask.subarray(from, to));
      steps.set(at.topic, {
        tokens: before.tokens + tokens,
        bytes: before.bytes + bytes,
        bits: before.bits + bits,
      });
    }
    return Object.fromEntries([...steps].map(([topic, step]) => [topic, this.#count(topic, step)]));
  }

  snapshot(): Json {
    const states = [...this.#sources].map(([topic, { totals, recent }]): [string, Json] => [
      topic,
      { totals: { ...totals }, recent: recent.map((step) => [...step]) },
    ]);
    return Object.fromEntries(states);
  }

  #count(topic: string, step: StepTotals): SourceFigures {
    const { totals: before, recent } = this.#sources.get(topic) ?? { totals: NOTHING, recent: [] };
    const totals = {
      tokens: before.tokens + step.tokens,
      bytes: before.bytes + step.bytes,
      bits: before.bits + step.bits,
    };
    recent.push([step.bytes, step.bits]);
    if (recent.length > WINDOW_STEPS) recent.shift();
    this.#sources.set(topic, { totals, recent });
    const window = { bytes: 0, bits: 0 };
    for (const [bytes, bits] of recent) {
      window.bytes += bytes;
      window.bits += bits;
    }
    return { ...step, window, totals };
  }
}

/** Counted targets and their bits. */
function examined(losses: Float32Array, lossMask: Float32Array): { readonly tokens: number; readonly bits: number } {
  const nats = losses.reduce((sum, loss) => sum + loss, 0);
  const tokens = lossMask.reduce((sum, counted) => sum + counted, 0);
  return { tokens, bits: nats / Math.LN2 };
}
