import { MillraceError } from '../../operators/errors.ts';
import type { CheckpointStore, DeadLetters } from '../../operators/index.ts';
import type { StreamLog } from './stream-log.ts';

/**
 * Holds back what a stream does to the outside until its graph is the job's: it may begin while the cut that it goes on from
 * is still being stored, and if it never counts, nobody has seen anything of it.
 */
export class Hold {
  readonly #counts: Promise<void>;
  #isOver = false;

  constructor(counts: Promise<void>) {
    this.#counts = counts;
    // Whoever waits is told.
    counts.catch(() => undefined);
  }

  /** The stream has ended: what it still holds back is never done. */
  end(): void {
    this.#isOver = true;
  }

  log(log: StreamLog): StreamLog {
    return {
      ...log,
      produce: (topic, records) => this.#when(() => log.produce(topic, records)),
      commit: (group, positions) => this.#when(() => log.commit(group, positions)),
    };
  }

  deadLetters(letters: DeadLetters): DeadLetters {
    return { put: (letter) => this.#when(() => letters.put(letter)) };
  }

  store(store: CheckpointStore): CheckpointStore {
    return {
      put: (cut) => this.#when(() => store.put(cut)),
      list: () => store.list(),
      read: (id) => store.read(id),
      latest: (counts) => store.latest(counts),
      prune: (keep, keepStops) => store.prune(keep, keepStops),
    };
  }

  async #when<T>(act: () => Promise<T>): Promise<T> {
    await this.#counts;
    if (this.#isOver) throw new MillraceError('log-closed', "The stream has ended before its graph was the job's.");
    return act();
  }
}
