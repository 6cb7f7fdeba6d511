import { presets } from '../../model/presets.ts';
import type { AdoptedGraph } from '../redeploy/adopt-graph.ts';
import type { Graph } from '../spec/graph.ts';
import { formatsOf } from '../topics/formats.ts';
import { settleEngine } from './job-engine.ts';
import type { OpenJob } from './open-job.ts';
import { trainedTopics } from './prepare-tokenizer.ts';

/** The same open job under another graph, which trains the same size of model. */
export async function regraphed(
  job: OpenJob,
  graph: Graph,
  adopted: AdoptedGraph,
  onWarning: (message: string) => void,
): Promise<OpenJob> {
  const { model } = graph;
  const { optimizer } = presets[model.preset];
  const used = job.settings.engine ?? { mode: 'eager' };
  const wanted = model.engine;
  const engine = await settleEngine({ wanted, used, choose: async () => used, onWarning, environment: process.env });
  const learningRate = model.learningRate ?? optimizer.learningRate;
  return {
    ...job,
    graph,
    adopted,
    formats: formatsOf(graph),
    trainedTopics: trainedTopics(graph),
    settings: { ...job.settings, optimizer: { ...optimizer, learningRate }, accumulate: model.accumulate, engine },
  };
}
