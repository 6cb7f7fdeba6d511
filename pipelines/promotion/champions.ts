import { join } from 'node:path';
import { replaceFile } from '../../infra/index.ts';
import type { WeightsVersion } from '../../operators/ports.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { readJsonFile } from '../job/json-file.ts';
import { NOTHING_DECIDED, promotionStateSchema } from './promotion-state.ts';
import type { Decision, PromotionState } from './promotion-state.ts';

/**
 * Who may speak for a job, as its file says. A decision holds from when it is in the file: its record, and whoever else is
 * told of it, follow from there, also after a process that died in between.
 */
export class Champions {
  readonly #path: string;
  #state: PromotionState;
  #candidates: readonly string[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** The caller has the folder's lock, or only looks. Rejects with `state-invalid`. */
  static async open({ root }: Pick<JobFolder, 'root'>): Promise<Champions> {
    const path = join(root, 'promotions.json');
    const advice =
      "does not say who speaks. Bring it back from a copy, or remove it: the job's newest snapshot is then examined anew.";
    return new Champions(path, (await readJsonFile(path, promotionStateSchema, advice)) ?? NOTHING_DECIDED);
  }

  private constructor(path: string, state: PromotionState) {
    this.#path = path;
    this.#state = state;
  }

  get state(): PromotionState {
    return this.#state;
  }

  /** Checkpoints that must not be pruned: of those who speak, may have to again, or are about to be examined. */
  get held(): ReadonlySet<string> {
    const { champion, line } = this.#state;
    return new Set([...(champion ? [champion] : []), ...line].map(({ id }) => id).concat(this.#candidates));
  }

  /** Holds the checkpoints of those who are to be examined, instead of the ones before. */
  hold(candidates: readonly WeightsVersion[]): void {
    this.#candidates = candidates.map(({ id }) => id);
  }

  /** Changes the state, one change after the other. Resolves, once it will outlive the process, with what was decided. */
  change(transition: (state: PromotionState) => PromotionState): Promise<readonly Decision[]> {
    const changed = this.#last.then(async () => {
      const before = this.#state;
      const after = transition(before);
      if (after === before) return [];
      await replaceFile(this.#path, `${JSON.stringify(after, null, 2)}\n`);
      this.#state = after;
      return after.decisions.filter(({ sequence }) => sequence >= before.sequence);
    });
    this.#last = changed.catch(() => undefined);
    return changed;
  }
}
