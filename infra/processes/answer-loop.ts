import type { ModelSampler } from '../../model/sampler.ts';
import type { WeightsFile, WeightsVersion } from '../../operators/ports.ts';
import type { AnswerRequest, SamplerEvent } from './sampler-protocol.ts';

interface OpenAnswer extends AnswerRequest {
  readonly finish: () => void;
  readonly fail: (error: unknown) => void;
}

/** Rests that are shorter are saved up: timers count whole milliseconds. */
const SHORTEST_REST_MS = 1;

/**
 * Steps the model as long as there is something to answer, and looks up between two steps, so that requests, cancellations
 * and new weights get in. Answers wait for the first weights. Of the time in which there is something to answer, the model
 * has a share; it rests behind each step.
 */
export class AnswerLoop {
  readonly #sampler: ModelSampler;
  readonly #emit: (event: SamplerEvent) => void;
  readonly #share: number;
  readonly #open = new Map<string, OpenAnswer>();
  #weights: WeightsVersion | null = null;
  #running = false;
  /** Rest that is due. */
  #restMs = 0;

  constructor(sampler: ModelSampler, emit: (event: SamplerEvent) => void, share = 1) {
    this.#sampler = sampler;
    this.#emit = emit;
    this.#share = share;
  }

  /** Throws, and speaks on with the old weights, when the file is bad. */
  load({ path, id, step }: WeightsFile): void {
    this.#sampler.load(path);
    const isFirst = this.#weights === null;
    this.#weights = { id, step };
    if (isFirst) for (const answer of this.#open.values()) this.#submit(answer);
  }

  answer(request: AnswerRequest): Promise<void> {
    return new Promise((finish, fail) => {
      const answer: OpenAnswer = { ...request, finish, fail };
      this.#open.set(request.id, answer);
      if (this.#weights) this.#submit(answer);
    });
  }

  cancel(id: string): void {
    this.#sampler.cancel(id);
    this.#open.get(id)?.finish();
    this.#open.delete(id);
  }

  #submit({ id, request, fail }: OpenAnswer): void {
    try {
      this.#sampler.submit(id, request);
    } catch (error) {
      this.#open.delete(id);
      fail(error);
      return;
    }
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => this.#step());
  }

  #step(): void {
    this.#running = this.#sampler.busy && this.#weights !== null;
    if (!this.#running || !this.#weights) return;
    const startMs = performance.now();
    const deltas = this.#sampler.step();
    this.#restMs += (performance.now() - startMs) * (1 / this.#share - 1);
    this.#emit({ weights: this.#weights, deltas });
    for (const { id, finish } of deltas) {
      if (!finish) continue;
      this.#open.get(id)?.finish();
      this.#open.delete(id);
    }
    this.#goOn();
  }

  #goOn(): void {
    const restMs = this.#restMs;
    if (restMs < SHORTEST_REST_MS) {
      setImmediate(() => this.#step());
      return;
    }
    this.#restMs = 0;
    setTimeout(() => this.#step(), restMs);
  }
}
