import type { Graph, GraphHead } from './graph.ts';
import type { Problem } from './lint.ts';
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
  const { format, field, schema } = topics[promote.topic] ?? {};
  if (format === 'text')
    add(['topic'], `Decisions are no text: give topic "${promote.topic}" format json or avro, or none.`);
  if (field !== undefined)
    add(['topic'], `Decisions have fields of their own: leave out the field of topic "${promote.topic}".`);
  if (format === 'avro' && schema === undefined) {
    add(['topic'], `Give topic "${promote.topic}" a schema to write by, such as schema: millrace.Promotion.`);
  }
  return problems;
}
