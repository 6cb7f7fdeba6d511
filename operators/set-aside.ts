import type { StepFault } from '../model/types.ts';
import type { Item } from './flow.ts';
import { batchToJson } from './train-state.ts';
import type { Json, TokenBatch } from './types.ts';

/** A batch that is to be tried once more. */
export interface SecondTry {
  readonly item: Item<TokenBatch>;
  /** The first step that it may be. */
  readonly dueAt: number;
}

/**
 * Batches whose step was skipped, in the order of those steps. They are tried again at a number of step that depends on
 * nothing but theirs, so that a run that is repeated repeats this too. Bounded: a step puts back one batch at most, and what
 * is due goes before what is new.
 */
export class SetAside {
  #tries: SecondTry[] = [];

  /** What the item took from the window is to be given back: it may wait for long, and only text brings its turn. */
  add({ value, source }: Item<TokenBatch>, dueAt: number): void {
    this.#tries.push({ item: { kind: 'item', value, bytes: 0, source }, dueAt });
  }

  isDue(step: number): boolean {
    const [first] = this.#tries;
    return first !== undefined && first.dueAt <= step;
  }

  /** The next that is due at a step; null where none is. */
  take(step: number): Item<TokenBatch> | null {
    return this.isDue(step) ? (this.#tries.shift()?.item ?? null) : null;
  }

  snapshot(): Json {
    return this.#tries.map(({ item, dueAt }) => ({ dueAt, batch: batchToJson(item.value) }));
  }
}

/** What a report says of a step that was skipped. */
export function faultText(fault: StepFault): string {
  switch (fault) {
    case 'non-finite-loss':
      return 'loss or gradient was not finite';
    case 'loss-spike':
      return 'the loss was far above that of the steps before';
    case 'gradient-spike':
      return 'the gradient was far larger than those of the steps before';
  }
}
