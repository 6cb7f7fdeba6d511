import type { JobFolder } from '../job/job-folder.ts';
import { checkpointIds, inspectCheckpoint, trainedIn } from '../job/saved-checkpoints.ts';
import { jobGraph } from '../redeploy/graph-history.ts';
import { Champions } from './champions.ts';
import type { Results } from './judge.ts';
import type { Verdict } from './promotion-state.ts';

/** A snapshot that could speak. */
export interface Model {
  readonly id: string;
  readonly step: number;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly isChampion: boolean;
  /** Of all that the job has trained on by then, before it was learnt. */
  readonly bitsPerByteTotal: number | null;
  /** What was decided of it last; null where nothing was yet. */
  readonly verdict: Verdict | null;
  readonly by: 'rule' | 'hand' | null;
  readonly reasons: readonly string[];
  /** Of its newest exam. */
  readonly results: Results | null;
}

/** The snapshots that a job has, oldest first; those that can't be read are left out. */
export async function listModels(job: JobFolder): Promise<readonly Model[]> {
  const { champion, decisions } = (await Champions.open(job)).state;
  const ids = await checkpointIds(job);
  const speaking = (await jobGraph(job))?.promote ? champion?.id : ids.at(-1);
  const saved = await Promise.all(ids.map((id) => inspectCheckpoint(job, id, false)));
  return saved.flatMap((each): readonly Model[] => {
    const trained = each?.manifest && trainedIn(each.manifest);
    if (!each?.manifest || !trained) return [];
    const own = decisions.filter(({ snapshot }) => snapshot.id === each.id);
    const last = own.at(-1);
    const { bits, bytes } = trained.totals;
    return [
      {
        id: each.id,
        step: trained.step,
        createdAt: each.manifest.createdAt,
        isChampion: each.id === speaking,
        bitsPerByteTotal: bytes > 0 ? bits / bytes : null,
        verdict: last?.verdict ?? null,
        by: last?.by ?? null,
        reasons: last?.reasons ?? [],
        results: own.findLast(({ results }) => results !== null)?.results ?? null,
      },
    ];
  });
}
