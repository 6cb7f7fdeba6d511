import type { ModelSampler } from '../../model/sampler.ts';
import type { WeightsFile, WeightsVersion } from '../../operators/ports.ts';
import type { AnswerRequest, SamplerEvent } from './sampler-protocol.ts';

interface OpenAnswer extends AnswerRequest {
  readonly finish: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Steps the model as long as there is something to answer, and looks up between two steps, so that requests, cancellations
 * and new weights get in. Answers wait for the first weights.
 */
export class AnswerLoop {
  readonly #sampler: ModelSampler;
  readonly #emit: (event: SamplerEvent) => void;
  readonly #open = new Map<string, OpenAnswer>();
  #weights: WeightsVersion | null = null;
  #running = false;

  constructor(sampler: ModelSampler, emit: (event: SamplerEvent) => void) {
    this.#sampler = sampler;
    this.#emit = emit;
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
    const deltas = this.#sampler.step();
    this.#emit({ weights: this.#weights, deltas });
    for (const { id, finish } of deltas) {
      if (!finish) continue;
      this.#open.get(id)?.finish();
      this.#open.delete(id);
    }
    setImmediate(() => this.#step());
  }
}
