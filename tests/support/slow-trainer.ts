import { setTimeout as sleep } from 'node:timers/promises';
import type { Trainer } from '../../operators/index.ts';

/** A trainer that learns nothing, and takes its time over it. */
export function slowTrainer(stepMs: number): Trainer & { readonly steps: number } {
  let steps = 0;
  let last: Promise<unknown> = Promise.resolve();
  return {
    get steps() {
      return steps;
    },
    restore: async () => {},
    async step({ lossMask }) {
      last = last.then(() => sleep(stepMs));
      await last;
      steps += 1;
      return { step: steps, loss: 1, losses: lossMask, gradNorm: 1, lr: 0, tokens: 1, skipped: false, fault: null };
    },
    evaluate: async () => 1,
    snapshot: async () => ({ state: steps }),
    close: async () => {},
  };
}
