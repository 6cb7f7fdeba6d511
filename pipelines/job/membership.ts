import { MillraceError } from '../../operators/errors.ts';
import type { Checkpoint, CheckpointStore, GroupMembership, Ledger, TopicLog } from '../../operators/index.ts';
import { ingestStateIn, placeOf } from '../../operators/ingest-state.ts';
import { isBehind, standingFrom } from '../../operators/standing.ts';
import { toMs } from '../../operators/units.ts';
import type { AdoptedGraph } from '../redeploy/adopt-graph.ts';
import type { Graph, Step } from '../spec/graph.ts';
import { trainingStream } from '../spec/streams.ts';
import type { LogPlace } from './open-log.ts';
import { trainedTopics } from './prepare-tokenizer.ts';

export function ledgerTopic(jobId: string, stream: string): string {
  return `ledger-${jobId}-${stream}`;
}

/** Throws `bad-usage` where there is nothing to share: on the embedded log, or without a stream that trains. */
export function checkGroup(graph: Graph, { brokers }: LogPlace): void {
  if (brokers && trainingStream(graph)) return;
  const why = brokers ? 'Give the graph a stream with trainStep' : 'Name brokers with --brokers';
  throw new MillraceError('bad-usage', `A group shares what is trained from Kafka. ${why}, or leave out the group.`);
}

/** Makes a job a member of a group, which it joins when its training stream asks for partitions. */
export function joinGroup(log: TopicLog, group: string, jobId: string, graph: Graph): GroupMembership | null {
  const [stream] = trainingStream(graph) ?? [];
  if (stream === undefined || !log.join) return null;
  const { sessionTimeout } = graph.kafka ?? {};
  return log.join({
    group,
    job: jobId,
    topics: trainedTopics(graph),
    ledgerTopic: ledgerTopic(jobId, stream),
    sessionMs: sessionTimeout === undefined ? undefined : toMs(sessionTimeout),
  });
}

/**
 * The newest intact cut that counts: one that a member of a group has stored, but could not report any more before its
 * partitions went to others, does not, nor does one whose records were undone later.
 */
export async function latestThatCounts(
  store: CheckpointStore,
  adopted: Pick<AdoptedGraph, 'counts'>,
  membership: GroupMembership,
  ledger: Ledger,
  steps: readonly Step[],
): Promise<Checkpoint | null> {
  const counted = await membership.counted();
  const uid = steps.find(({ kind }) => kind.kind === 'ingest')?.uid ?? '';
  return store.latest(async (cut) => {
    if (!(await adopted.counts(cut))) return false;
    const snapshot = cut.states.get(uid);
    if (!snapshot) return true;
    const state = ingestStateIn(uid, snapshot);
    const place = placeOf(state);
    if (counted && state.group === membership.group && isBehind(place, counted)) return false;
    return !standingFrom(place, await ledger.read(place.entry)).isUndone;
  });
}
