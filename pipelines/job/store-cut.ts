import { join } from 'node:path';
import type { Barrier, Uid } from '../../operators/flow.ts';
import type { CheckpointStore } from '../../operators/ports.ts';
import type { CheckpointReport, Snapshot } from '../../operators/types.ts';

/** Stores the cut of a barrier that came to the end of its stream, once all of its snapshots are in the basket. */
export async function storeCut(barrier: Barrier, store: CheckpointStore): Promise<CheckpointReport> {
  const { reason, basket, source } = barrier;
  const startedMs = performance.now();
  await barrier.writing;
  const { id, bytes, path } = await store.put({ reason, states: basket });
  await source.cutCommitted(barrier);
  return { event: 'checkpoint', id, reason, bytes, durationMs: performance.now() - startedMs, path };
}

/** The snapshots of a cut, whose files have moved into its checkpoint. */
export function snapshotsIn({ path }: CheckpointReport, { basket }: Barrier): ReadonlyMap<Uid, Snapshot> {
  const moved = ({ files, ...snapshot }: Snapshot): Snapshot =>
    files ? { ...snapshot, files: files.map(({ name }) => ({ name, path: join(path, name) })) } : snapshot;
  return new Map([...basket].map(([uid, snapshot]) => [uid, moved(snapshot)]));
}
