import type { JobEvent, PartitionLag, StepEvent } from '../job/events.ts';
import { age, count, counted, countsInWords, duration, figure, figures, rate, worstLag } from './format.ts';

/** Steps over which the newest bits per byte are taken: few enough to be news, enough to be steady. */
const WINDOW_STEPS = 100;
/** Without a step for so long, or for so many times what a step should take, a job counts as idle. */
const IDLE_MS = 5000;
const IDLE_STEPS = 4;

/** The newest state of a job, out of its events. */
export class JobStatus {
  #step: StepEvent | null = null;
  #steppedAtMs = 0;
  #savedAtMs: number | null = null;
  #speakingStep: number | null = null;
  #freshMs: number | null = null;
  #lags: readonly PartitionLag[] = [];
  #counts = '';
  #awayFromMs: number | null = null;
  /** Steps of this run. */
  #skipped = 0;
  readonly #window: { readonly bits: number; readonly bytes: number }[] = [];

  take(event: JobEvent, nowMs: number): void {
    switch (event.event) {
      case 'step':
        this.#step = event;
        this.#steppedAtMs = nowMs;
        if (event.skipped) this.#skipped += 1;
        if (event.bitsPerByte === null || event.skipped) return;
        this.#window.push({ bits: event.bitsPerByte * event.bytes, bytes: event.bytes });
        if (this.#window.length > WINDOW_STEPS) this.#window.shift();
        return;
      case 'lag':
        this.#lags = event.partitions;
        return;
      case 'counts':
        this.#counts = countsInWords(event.counts);
        return;
      case 'checkpoint':
        this.#savedAtMs = nowMs;
        return;
      case 'generation':
        if (event.weights.id !== '') this.#speakingStep = event.weights.step;
        return;
      case 'freshness':
        this.#freshMs = event.spokenMs;
        return;
      case 'outage':
        this.#awayFromMs = event.state === 'waiting' ? nowMs : null;
        return;
      case 'plan':
      case 'ready':
      case 'listening':
      case 'weights':
      case 'promotion':
      case 'evaluation':
      case 'deadletter':
      case 'deployment':
      case 'summary':
    }
  }

  /** Bits per byte of the last steps together, each weighted with its bytes; null before the first. */
  get windowBitsPerByte(): number | null {
    let bits = 0;
    let bytes = 0;
    for (const step of this.#window) {
      bits += step.bits;
      bytes += step.bytes;
    }
    return bytes > 0 ? bits / bytes : null;
  }

  /** The status on one line: with words where there is room, else shorter, and cut where even that is too long. */
  line(nowMs: number, columns: number): string {
    const fields = this.#fields(nowMs);
    const wide = fields.map(([words]) => words).join(' · ');
    const line = wide.length <= columns ? wide : fields.map(([, short]) => short).join('  ');
    return line.slice(0, columns);
  }

  /** What is most important first; each in words, and short. */
  #fields(nowMs: number): readonly (readonly [words: string, short: string])[] {
    if (this.#awayFromMs === null) return this.#jobFields(nowMs);
    const away = age(nowMs - this.#awayFromMs);
    return [[`waiting for Kafka for ${away}`, `no Kafka ${away}`], ...this.#jobFields(nowMs)];
  }

  #jobFields(nowMs: number): readonly (readonly [words: string, short: string])[] {
    const step = this.#step;
    const counts: readonly (readonly [string, string])[] = this.#counts === '' ? [] : [[this.#counts, this.#counts]];
    if (!step) return [['waiting for the first step, which takes longest', 'waiting'], ...counts];
    const now = this.windowBitsPerByte;
    const idleMs = nowMs - this.#steppedAtMs;
    const speed = count(step.tokensPerSecond);
    const saved = this.#savedAtMs === null ? null : age(nowMs - this.#savedAtMs);
    const lag = this.#lags.length > 0 ? this.#lags.reduce((sum, each) => sum + each.lag, 0) : step.lag;
    const speaking = this.#speakingStep === null ? 'none' : count(this.#speakingStep);
    return [
      [`step ${count(step.step)}`, `step ${count(step.step)}`],
      this.#isIdle(step, idleMs)
        ? [`idle for ${age(idleMs)}`, `idle ${age(idleMs)}`]
        : [`${speed} tokens/s`, `${speed} tok/s`],
      [figures(now, step.bitsPerByteTotal), figures(now, step.bitsPerByteTotal, true)],
      ...bySource(step.sources),
      [`lr ${rate(step.lr)}`, `lr ${rate(step.lr)}`],
      [`lag ${count(lag)}${worstLag(this.#lags)}`, `lag ${count(lag)}`],
      ...skips(this.#skipped),
      saved === null ? ['not saved yet', 'unsaved'] : [`saved ${saved} ago`, `saved ${saved}`],
      this.#speakingStep === null
        ? ['nobody speaks yet', 'voice none']
        : [`step ${speaking} speaks`, `voice ${speaking}`],
      ...counts,
      ...freshness(this.#freshMs),
    ];
  }

  #isIdle({ tokens, tokensPerSecond }: StepEvent, sinceMs: number): boolean {
    const stepMs = tokensPerSecond > 0 ? (tokens * 1000) / tokensPerSecond : 0;
    return sinceMs > Math.max(IDLE_MS, IDLE_STEPS * stepMs);
  }
}

/** How many steps were skipped, where any was. */
function skips(steps: number): readonly (readonly [words: string, short: string])[] {
  return steps > 0 ? [[`${counted(steps, 'step')} skipped`, `${count(steps)} skipped`]] : [];
}

/** So many topics are told of; the others are counted. */
const MOST_SOURCES = 4;

/** Bits per byte of each topic of late, where there are several. */
function bySource(sources: StepEvent['sources'] = {}): readonly (readonly [words: string, short: string])[] {
  const told = Object.entries(sources).map(([topic, { bitsPerByte }]) => `${topic} ${figure(bitsPerByte)}`);
  if (told.length === 0) return [];
  const more = told.length > MOST_SOURCES ? [`${told.length - MOST_SOURCES} more`] : [];
  const shown = [...told.slice(0, MOST_SOURCES), ...more];
  return [[shown.join(', '), shown.join(' ')]];
}

/** How long the newest text took to be spoken of, once that is known. */
function freshness(ms: number | null): readonly (readonly [words: string, short: string])[] {
  if (ms === null) return [];
  const took = duration(ms);
  return [[`${took} from text to speech`, `fresh ${took}`]];
}
