import type { CheckpointStore } from '../../operators/index.ts';

/** A store as one run of a stream uses it. */
export interface StreamStore extends CheckpointStore {
  /** Resolves when no cut that was put through it is under way any more. */
  settled(): Promise<void>;
}

/**
 * Keeps account of cuts on their way to the disk, since a stream must not be built anew, or another graph begin, while one
 * may still arrive behind the cut that is gone on from.
 */
export function streamStore(store: CheckpointStore): StreamStore {
  let last: Promise<unknown> = Promise.resolve();
  return {
    put(cut) {
      const putting = store.put(cut);
      last = Promise.allSettled([last, putting]);
      return putting;
    },
    list: () => store.list(),
    read: (id) => store.read(id),
    latest: (counts) => store.latest(counts),
    prune: (keep, keepStops) => store.prune(keep, keepStops),
    async settled() {
      await last;
    },
  };
}
