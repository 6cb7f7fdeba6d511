import { EMPTY, ReplaySubject, Subscription, catchError, concatMap, from, mergeMap, timer } from 'rxjs';
import type { Observable } from 'rxjs';
import type { NewRecord, Sampler, WeightsFile } from '../operators/index.ts';
import type { TextDelta } from '../operators/types.ts';
import { toMs } from '../operators/units.ts';
import type { GenerationEvent } from './events.ts';
import type { StandingPromptsSpec } from './graph.ts';
import type { OpenJob } from './open-job.ts';

/** Keeps whichever sampler is running on the newest weights, asks the standing prompts, and puts answers together. */
export class Voice {
  readonly #job: OpenJob;
  readonly #onWarning: (message: string) => void;
  readonly #newest = new ReplaySubject<WeightsFile>(1);
  readonly #asking = new Subscription();
  /** Standing prompts without an answer yet, by id. */
  readonly #asked = new Map<string, string>();
  /** Answers under way, by id. */
  readonly #texts = new Map<string, string>();

  constructor(job: OpenJob, onWarning: (message: string) => void) {
    this.#job = job;
    this.#onWarning = onWarning;
    const { standingPrompts } = job.graph;
    if (standingPrompts) this.#asking.add(this.#ask(standingPrompts).subscribe());
  }

  /** New weights; the samplers take them as soon as they can. */
  offer(weights: WeightsFile): void {
    this.#newest.next(weights);
  }

  /** Loads the newest weights into a sampler, now and whenever there are newer ones; a bad file is only reported. */
  keepCurrent(sampler: Sampler): Subscription {
    const load = (weights: WeightsFile): Observable<void> =>
      from(sampler.load(weights)).pipe(
        catchError((error: unknown) => {
          this.#onWarning(`The weights of checkpoint ${weights.id} do not speak: ${String(error)}`);
          return EMPTY;
        }),
      );
    return this.#newest.pipe(concatMap(load)).subscribe();
  }

  /** The whole answer when this delta is its last, else null. */
  answered({ id, index, text, finish, weights }: TextDelta): GenerationEvent | null {
    const whole = (index === 0 ? '' : (this.#texts.get(id) ?? '')) + text;
    if (finish === null) {
      this.#texts.set(id, whole);
      return null;
    }
    const prompt = this.#asked.get(id) ?? null;
    this.#asked.delete(id);
    this.#texts.delete(id);
    return { event: 'generation', id, prompt, text: whole, finish, weights };
  }

  close(): void {
    this.#asking.unsubscribe();
    this.#newest.complete();
  }

  /** Asks the standing prompts in turn, from the first weights on; never while one waits, lest they pile up. */
  #ask(spec: StandingPromptsSpec): Observable<unknown> {
    return this.#newest.pipe(
      mergeMap((_weights, index) => (index === 0 ? timer(0, toMs(spec.every)) : EMPTY)),
      concatMap((turn) =>
        this.#asked.size > 0 ? EMPTY : this.#job.log.produce(spec.topic, [this.#standingPrompt(spec, turn)]),
      ),
    );
  }

  #standingPrompt({ prompts, maxTokens }: StandingPromptsSpec, turn: number): NewRecord {
    const prompt = prompts[turn % prompts.length] ?? '';
    const id = `standing-${Date.now().toString(36)}`;
    this.#asked.set(id, prompt);
    return { key: id, value: JSON.stringify({ prompt, seed: turn, maxTokens }) };
  }
}
