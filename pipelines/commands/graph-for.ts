import { fileURLToPath } from 'node:url';
import { currentJob, dataFolder } from '../job/job-folder.ts';
import { jobGraph } from '../redeploy/graph-history.ts';
import type { Graph } from '../spec/graph.ts';
import { readGraph } from './lint.ts';

export const DEFAULT_GRAPH: string = fileURLToPath(new URL('../graphs/sotu.yaml', import.meta.url));

/** What is named, else the graph of the job that is there, else the one that comes with Millrace. */
export async function graphFor(file: string | undefined, dataDir: string): Promise<Graph> {
  if (file !== undefined) return readGraph(file);
  const job = currentJob(dataFolder(dataDir));
  return (job && (await jobGraph(job))) ?? readGraph(DEFAULT_GRAPH);
}
