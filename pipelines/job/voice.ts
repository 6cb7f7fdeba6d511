import {
  BehaviorSubject,
  EMPTY,
  ReplaySubject,
  Subject,
  Subscription,
  catchError,
  combineLatest,
  concatMap,
  filter,
  from,
  mergeMap,
  switchMap,
  take,
  tap,
  timer,
} from 'rxjs';
import type { Observable } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import { promptContent } from '../../operators/prompts.ts';
import type {
  Formats,
  NewRecord,
  SampleDelta,
  SampleRequest,
  Sampler,
  TopicLog,
  WeightsFile,
  WeightsVersion,
} from '../../operators/index.ts';
import { LivePrompts } from '../promotion/live-prompts.ts';
import type { TextDelta } from '../../operators/types.ts';
import { toMs } from '../../operators/units.ts';
import type { GenerationEvent } from './events.ts';
import type { StandingPromptsSpec } from '../spec/graph.ts';

/** What a voice needs of its job. */
export interface VoiceJob {
  readonly log: TopicLog;
  readonly formats: Formats;
  readonly graph: { readonly standingPrompts?: StandingPromptsSpec | undefined };
}

/** A standing prompt that is not answered for so long is given up. */
const PATIENCE_MS = 60_000;

/** Weights that do not speak. */
export interface RefusedWeights {
  readonly weights: WeightsFile;
  readonly error: unknown;
}

/** Keeps whichever sampler is running on the newest weights, asks the standing prompts, and puts answers together. */
export class Voice {
  /** What it was asked last. */
  readonly prompts: LivePrompts = new LivePrompts();
  readonly #job: VoiceJob;
  readonly #onWarning: (message: string) => void;
  readonly #newest = new ReplaySubject<WeightsFile>(1);
  /** The sampler that runs now; null while there is none. */
  readonly #sampler = new BehaviorSubject<Sampler | null>(null);
  #hasWeights = false;
  readonly #refused = new Subject<RefusedWeights>();
  readonly #spoke = new Subject<WeightsVersion>();
  readonly #asking = new Subscription();
  /** Standing prompts without an answer yet, by id. */
  readonly #asked = new Map<string, { readonly prompt: string; readonly atMs: number }>();
  readonly #heard = new ReplaySubject<void>(1);
  /** Answers under way, by id. */
  readonly #texts = new Map<string, string>();

  constructor(job: VoiceJob, onWarning: (message: string) => void) {
    this.#job = job;
    this.#onWarning = onWarning;
    const { standingPrompts } = job.graph;
    if (!standingPrompts) return;
    const error = (cause: unknown): void => this.#onWarning(`Standing prompts are asked no more: ${String(cause)}`);
    this.#asking.add(this.#ask(standingPrompts).subscribe({ error }));
  }

  /** New weights; the samplers take them as soon as they can. */
  offer(weights: WeightsFile): void {
    this.#hasWeights = true;
    this.#newest.next(weights);
  }

  /** Emits what a sampler has refused; it speaks on with what it had. */
  get refused(): Observable<RefusedWeights> {
    return this.#refused;
  }

  /** Emits the weights of each part of an answer to `sample`. */
  get spoke(): Observable<WeightsVersion> {
    return this.#spoke;
  }

  /** Loads the newest weights into a sampler, now and whenever there are newer ones; a bad file is only reported. */
  keepCurrent(sampler: Sampler): Subscription {
    const load = (weights: WeightsFile): Observable<void> =>
      from(sampler.load(weights)).pipe(
        catchError((error: unknown) => {
          // A sampler that died says nothing of the weights; its successor takes them.
          const hasDied = error instanceof MillraceError && error.code === 'process-died';
          if (!hasDied) this.#refused.next({ weights, error });
          return EMPTY;
        }),
      );
    // Not one after the other: where some have to wait, newer ones take their place.
    const listening = this.#newest.pipe(mergeMap(load)).subscribe();
    this.#sampler.next(sampler);
    listening.add(() => {
      if (this.#sampler.value === sampler) this.#sampler.next(null);
    });
    return listening;
  }

  /** Whether there is anything to speak with. */
  get hasWeights(): boolean {
    return this.#hasWeights;
  }

  /** Asks the sampler that runs, or the next one where it is just being replaced. */
  sample(request: SampleRequest): Observable<SampleDelta> {
    this.prompts.hear(request);
    return this.#sampler.pipe(
      filter((sampler) => sampler !== null),
      take(1),
      switchMap((sampler) => sampler.sample(request)),
      tap(({ weights }) => this.#spoke.next(weights)),
    );
  }

  /** The whole answer when this delta is its last, else null. */
  answered({ id, index, text, finish, weights, usage, freshness }: TextDelta): GenerationEvent | null {
    const whole = (index === 0 ? '' : (this.#texts.get(id) ?? '')) + text;
    if (finish === null) {
      this.#texts.set(id, whole);
      return null;
    }
    const prompt = this.#asked.get(id)?.prompt ?? null;
    this.#asked.delete(id);
    this.#texts.delete(id);
    const took = { ...(usage ? { usage } : {}), ...(freshness ? { freshness } : {}) };
    return { event: 'generation', id, prompt, text: whole, finish, weights, ...took };
  }

  close(): void {
    this.#asking.unsubscribe();
    this.#newest.complete();
    this.#sampler.complete();
    this.#refused.complete();
    this.#spoke.complete();
    this.#heard.complete();
  }

  /** Somebody answers prompts from now on. */
  listening(): void {
    this.#heard.next();
  }

  /** Asks the standing prompts in turn, once somebody listens who has weights; one at a time, lest they pile up. */
  #ask(spec: StandingPromptsSpec): Observable<unknown> {
    return combineLatest([this.#newest, this.#heard]).pipe(
      take(1),
      mergeMap(() => timer(0, toMs(spec.every))),
      concatMap((turn) => {
        for (const [id, { atMs }] of this.#asked) if (Date.now() - atMs >= PATIENCE_MS) this.#asked.delete(id);
        return this.#asked.size > 0 ? EMPTY : this.#askOnce(spec, turn);
      }),
    );
  }

  async #askOnce(spec: StandingPromptsSpec, turn: number): Promise<void> {
    await this.#job.log.produce(spec.topic, [await this.#standingPrompt(spec, turn)]);
  }

  async #standingPrompt({ topic, prompts, maxTokens }: StandingPromptsSpec, turn: number): Promise<NewRecord> {
    const format = this.#job.formats.of(topic);
    const prompt = prompts[turn % prompts.length] ?? '';
    const id = `standing-${Date.now().toString(36)}`;
    this.#asked.set(id, { prompt, atMs: Date.now() });
    return { key: id, value: await format.write(promptContent({ prompt, seed: turn, maxTokens }, format)) };
  }
}
