import { evaluateConfigSchema } from '../../operators/evaluate.ts';
import type { Graph, GraphHead } from './graph.ts';
import type { Problem } from './lint.ts';
import { ownRecordsProblems } from './lint-topics.ts';
import { heldOutShare } from './streams.ts';

/** What of operators `evaluate` can't be done with the rest of the graph. */
export function evaluateProblems({ topics }: GraphHead, streams: Graph['streams']): Problem[] {
  const steps = Object.entries(streams).flatMap(([name, stream]) =>
    stream.map((step, index) => ({ step, path: ['streams', name, index, 'evaluate'] })),
  );
  const exams = steps.filter(({ step }) => step.kind.kind === 'evaluate');
  const twice = exams.slice(1).map(({ path }): Problem => {
    const message = 'A job has one series of exams: "evaluate" may stand in a graph once, with all that is asked.';
    return { code: 'settings-conflict', path, message };
  });
  const problems = exams.flatMap(({ step, path }): Problem[] => {
    const { topic, heldOut } = evaluateConfigSchema.parse(step.config);
    const own = ownRecordsProblems('Evaluations', topics, topic, [...path, 'topic'], 'millrace.Evaluation');
    const trained = heldOut.flatMap((spec): Problem[] => {
      if (!('topic' in spec)) return [];
      const { topic: name } = spec;
      if (!(name in topics)) {
        return [
          { code: 'topic-missing', path: [...path, 'heldOut'], message: `The topic "${name}" is not under topics.` },
        ];
      }
      if (heldOutShare({ streams }, name) > 0) return [];
      const message = `All of topic "${name}" is trained on. Put the operator holdout behind its ingest, or name another topic.`;
      return [{ code: 'settings-conflict', path: [...path, 'heldOut'], message }];
    });
    return [...own, ...trained];
  });
  return [...twice, ...problems];
}
