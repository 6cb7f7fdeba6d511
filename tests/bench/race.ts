import type { StepInput } from '../../model/types.ts';
import type { Contestant } from './contestant.ts';
import { median } from './report.ts';

/** A contestant on its way through batches, which are the same for all and fresh for every step. */
export class Runner {
  readonly contestant: Contestant;
  /** Losses of the warm-up steps. */
  readonly losses: number[] = [];
  firstStepMs: number = Number.NaN;
  readonly #batchOf: (step: number) => StepInput;
  readonly #times: number[] = [];
  #steps = 0;

  constructor(contestant: Contestant, batchOf: (step: number) => StepInput) {
    this.contestant = contestant;
    this.#batchOf = batchOf;
  }

  /** Median of the steps that count. */
  get msPerStep(): number {
    return median(this.#times);
  }

  /** Steps that don't count; the first one compiles, where something is to be compiled. */
  async warmUp(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      const { ms, loss } = await this.#step();
      if (step === 0) this.firstStepMs = ms;
      this.losses.push(loss);
    }
  }

  /** Steps until the time is over. The very first does not count: it finds the caches full of another's data. */
  async turn(leastMs: number): Promise<void> {
    await this.#step();
    const start = performance.now();
    do this.#times.push((await this.#step()).ms);
    while (performance.now() - start < leastMs);
  }

  async #step(): Promise<{ readonly ms: number; readonly loss: number }> {
    const batch = this.#batchOf(this.#steps++);
    const start = performance.now();
    const loss = await this.contestant.step(batch);
    return { ms: performance.now() - start, loss };
  }
}

/** Gives all a turn in each round, so that a machine that changes its pace does so for all. */
export async function race(runners: readonly Runner[], rounds: number, turnMs: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const runner of runners) await runner.turn(turnMs);
  }
}
