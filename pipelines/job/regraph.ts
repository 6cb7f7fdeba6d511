import type { AdoptedGraph } from '../redeploy/adopt-graph.ts';
import type { Graph } from '../spec/graph.ts';
import { presetOf } from '../spec/preset-of.ts';
import { formatsOf } from '../topics/formats.ts';
import { settleEngine } from './job-engine.ts';
import type { OpenJob } from './open-job.ts';
import { trainedTopics } from './prepare-tokenizer.ts';
import { topicEnds } from './topic-ends.ts';

/** The same open job under another graph, which has the same vocabulary. */
export async function regraphed(
  job: OpenJob,
  graph: Graph,
  adopted: AdoptedGraph,
  onWarning: (message: string) => void,
): Promise<OpenJob> {
  const { model } = graph;
  const { optimizer, model: size } = presetOf(model);
  const used = job.settings.engine ?? { mode: 'eager' };
  const wanted = model.engine;
  const engine = await settleEngine({ wanted, used, choose: async () => used, onWarning, environment: process.env });
  const learningRate = model.learningRate ?? optimizer.learningRate;
  return {
    ...job,
    graph,
    adopted,
    formats: formatsOf(graph),
    ends: await topicEnds(job.log, graph),
    trainedTopics: trainedTopics(graph),
    settings: {
      ...job.settings,
      model: { ...size, vocabSize: job.settings.model.vocabSize },
      optimizer: { ...optimizer, learningRate },
      accumulate: model.accumulate,
      engine,
    },
  };
}
