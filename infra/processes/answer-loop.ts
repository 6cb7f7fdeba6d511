import type { ModelSampler } from '../../model/sampler.ts';
import type { WeightsFile, WeightsVersion } from '../../operators/ports.ts';
import type { AnswerRequest, SamplerEvent } from './sampler-protocol.ts';

/** Weights that wait for their turn. */
interface NextWeights {
  readonly weights: WeightsFile;
  readonly taken: () => void;
  readonly refused: (error: unknown) => void;
}

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
  /** By the numbers that the sampler gave them: those that may still speak. */
  readonly #weights = new Map<number, WeightsVersion>();
  #next: NextWeights | null = null;
  #running = false;
  /** Rest that is due. */
  #restMs = 0;

  constructor(sampler: ModelSampler, emit: (event: SamplerEvent) => void, share = 1) {
    this.#sampler = sampler;
    this.#emit = emit;
    this.#share = share;
  }

  /**
   * Resolves when the weights speak, which is at once but where answers still end on the weights before the last: those
   * come first. Meanwhile newer ones take the place of these, and this resolves too. Rejects, and speaks on with the old
   * ones, when the file is bad.
   */
  load(weights: WeightsFile): Promise<void> {
    return new Promise((taken, refused) => {
      this.#next?.taken();
      this.#next = { weights, taken, refused };
      this.#takeNext();
    });
  }

  answer(request: AnswerRequest): Promise<void> {
    return new Promise((finish, fail) => {
      const answer: OpenAnswer = { ...request, finish, fail };
      this.#open.set(request.id, answer);
      if (this.#hasWeights) this.#submit(answer);
    });
  }

  cancel(id: string): void {
    this.#sampler.cancel(id);
    this.#open.get(id)?.finish();
    this.#open.delete(id);
    this.#takeNext();
  }

  get #hasWeights(): boolean {
    return this.#weights.size > 0;
  }

  #takeNext(): void {
    const next = this.#next;
    if (!next || !this.#sampler.mayLoad) return;
    this.#next = null;
    try {
      const { path, ...weights } = next.weights;
      const isFirst = !this.#hasWeights;
      const { version } = this.#sampler.load(path);
      // No more than the ones before these can still speak.
      for (const old of this.#weights.keys()) if (old < version - 1) this.#weights.delete(old);
      this.#weights.set(version, weights);
      if (isFirst) for (const answer of this.#open.values()) this.#submit(answer);
      next.taken();
    } catch (error) {
      next.refused(error);
    }
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
    this.#running = this.#sampler.busy && this.#hasWeights;
    if (!this.#running) return;
    const startMs = performance.now();
    const deltas = this.#sampler.step();
    this.#restMs += (performance.now() - startMs) * (1 / this.#share - 1);
    for (const [version, weights] of this.#weights) {
      const spoken = deltas.filter((delta) => delta.version === version);
      if (spoken.length > 0) this.#emit({ weights, deltas: spoken });
    }
    for (const { id, finish } of deltas) {
      if (!finish) continue;
      this.#open.get(id)?.finish();
      this.#open.delete(id);
    }
    this.#takeNext();
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
