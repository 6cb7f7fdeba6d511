import type { Graph, GraphHead } from './graph.ts';
import type { Problem } from './lint.ts';
import { ownRecordsProblems } from './lint-topics.ts';
import { heldOutShare, trainingStream } from './streams.ts';

/** What of `promote` can't be done with the rest of the graph. */
export function promoteProblems({ promote, topics }: GraphHead, streams: Graph['streams']): Problem[] {
  if (!promote) return [];
  const problems: Problem[] = [];
  const add = (path: Problem['path'], message: string): void => {
    problems.push({ code: 'settings-conflict', path: ['promote', ...path], message });
  };
  if (!trainingStream({ streams })) {
    add(
      [],
      'Nothing is trained here, so there are no snapshots to promote. Add a stream with trainStep, or leave it out.',
    );
  }
  const { heldOut } = promote;
  if (heldOut && 'topic' in heldOut && heldOutShare({ streams }, heldOut.topic) === 0) {
    add(
      ['heldOut', 'topic'],
      `All of topic "${heldOut.topic}" is trained on. Put the operator holdout behind its ingest, or name another topic.`,
    );
  }
  return [
    ...problems,
    ...ownRecordsProblems('Decisions', topics, promote.topic, ['promote', 'topic'], 'millrace.Promotion'),
  ];
}
