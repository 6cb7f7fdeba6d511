import type { Reading, SourceFigures, StepReport, TopicLog, WeightsVersion } from '../../operators/index.ts';
import { nothingSeen, seenAfter } from '../../operators/watermark.ts';
import type { PartitionLag, SourceBits, StepEvent } from './events.ts';
import type { Reached } from './restored-cut.ts';

const NOTHING: Reached = { step: 0, totals: { tokens: 0, bytes: 0, bits: 0 }, seen: nothingSeen };
const RATE_WINDOW_MS = 10_000;
/** The first steps come in pairs, since two are under way at once. */
const LEAST_RATE_MS = 500;

/** Makes events of step reports: adds what only time and the log can tell, the rate and the lag. */
export class Progress {
  readonly #log: TopicLog;
  readonly #recent: { readonly atMs: number; readonly tokens: number }[] = [];
  #lags: readonly PartitionLag[] = [];
  /** The newest figures of each topic that this run had text of. */
  readonly #sources = new Map<string, SourceFigures>();
  #reached: Reached = NOTHING;
  /** When the newest step of this run was done. */
  #trainedAtMs: number | null = null;
  #runSteps = 0;
  #runTokens = 0;

  constructor(log: TopicLog) {
    this.#log = log;
  }

  /** How far the job's training is. */
  get reached(): Reached {
    return this.#reached;
  }

  /** What weights say of themselves that come from a cut which was so far. */
  weightsAt(reached: Reached | null): Omit<WeightsVersion, 'id'> {
    const { step, seen } = reached ?? NOTHING;
    const trainedAtMs = step === this.#reached.step ? this.#trainedAtMs : null;
    return {
      step,
      seen: seen.watermark,
      ...(seen.textAtMs > 0 ? { textAtMs: seen.textAtMs } : {}),
      ...(trainedAtMs === null ? {} : { trainedAtMs }),
    };
  }

  /** Over all partitions, as last looked up. */
  get lag(): number {
    return this.#lags.reduce((sum, { lag }) => sum + lag, 0);
  }

  /** As last looked up. */
  get lags(): readonly PartitionLag[] {
    return this.#lags;
  }

  /** Bits per byte by topic, as an event has them: nothing where there is one topic only. */
  get sources(): { readonly sources?: Readonly<Record<string, SourceBits>> } {
    if (this.#sources.size < 2) return {};
    const all = [...this.#sources].map(([topic, { window, totals }]): [string, SourceBits] => [
      topic,
      { bitsPerByte: perByte(window), bitsPerByteTotal: perByte(totals), bytesTotal: totals.bytes },
    ]);
    return { sources: Object.fromEntries(all.toSorted(([one], [other]) => (one < other ? -1 : 1))) };
  }

  /** Steps and tokens since this object was made. */
  get run(): { readonly steps: number; readonly tokens: number } {
    return { steps: this.#runSteps, tokens: this.#runTokens };
  }

  /** Training goes on from a cut, or begins when there is none: how far it was. */
  goOnFrom(reached: Reached | null): void {
    const before = this.#reached.step;
    this.#reached = reached ?? NOTHING;
    if (this.#reached.step !== before) this.#trainedAtMs = null;
  }

  step(report: StepReport): StepEvent {
    const atMs = performance.now();
    this.#reached = { step: report.step, totals: report.totals, seen: seenAfter(this.#reached.seen, report) };
    this.#trainedAtMs = Date.now();
    this.#runSteps += 1;
    for (const [topic, figures] of Object.entries(report.sources ?? {})) this.#sources.set(topic, figures);
    this.#runTokens += report.tokens;
    this.#recent.push({ atMs, tokens: report.tokens });
    while (this.#recent.length > 2 && atMs - (this.#recent[0]?.atMs ?? 0) > RATE_WINDOW_MS) this.#recent.shift();
    const { step, loss, bitsPerByte, tokens, bytes, lr, gradNorm, skipped, fault, attempt, totals, replayed } = report;
    return {
      event: 'step',
      step,
      tokens,
      bytes,
      lr,
      skipped,
      fault,
      attempt,
      loss: finite(loss),
      bitsPerByte: replayed ? null : finite(bitsPerByte),
      bitsPerByteTotal: perByte(totals),
      tokensPerSecond: this.#rate(),
      gradNorm: finite(gradNorm),
      lag: this.lag,
      ...this.sources,
      ...(replayed ? { replayed: { rows: replayed.rows, loss: finite(replayed.loss) } } : {}),
    };
  }

  /** Looks up how far the partitions that are read have grown beyond what was trained. True when anything has changed. */
  async refreshLag(reads: readonly Reading[]): Promise<boolean> {
    const ends = new Map<string, number>();
    for (const name of new Set(reads.map(({ topic }) => topic))) {
      for (const { topic, partition, end } of await this.#log.offsets(name)) ends.set(`${topic}/${partition}`, end);
    }
    const before = JSON.stringify(this.#lags);
    this.#lags = reads.map(({ topic, partition, from }) => {
      const key = `${topic}/${partition}`;
      // Others may have read on since this job has last trained on records of the partition.
      const offset = Math.max(from, this.#reached.seen.watermark[key] ?? from);
      const end = ends.get(key) ?? offset;
      return { topic, partition, offset, end, lag: Math.max(0, end - offset) };
    });
    return JSON.stringify(this.#lags) !== before;
  }

  /** Tokens per second between the first and the last step of the window; 0 while that says nothing yet. */
  #rate(): number {
    const [first] = this.#recent;
    const last = this.#recent.at(-1);
    if (!first || !last || last.atMs - first.atMs < LEAST_RATE_MS) return 0;
    const tokens = this.#recent.slice(1).reduce((sum, step) => sum + step.tokens, 0);
    return (tokens * 1000) / (last.atMs - first.atMs);
  }
}

function perByte({ bits, bytes }: Pick<SourceFigures, 'bits' | 'bytes'>): number | null {
  return bytes > 0 ? bits / bytes : null;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
