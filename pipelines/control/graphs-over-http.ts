import { z } from 'zod';
import type { GraphRequest, GraphsApi } from '../../infra/index.ts';
import type { Json } from '../../operators/types.ts';
import type { OpenJob } from '../job/open-job.ts';
import { graphVersion, graphVersions } from '../redeploy/graph-history.ts';
import { planFor } from '../redeploy/plan-for.ts';
import { graphJsonSchema } from '../spec/graph-schema.ts';
import { graphDocument } from '../spec/graph.ts';
import { parseGraph } from '../spec/parse-graph.ts';
import type { Deployments } from './deployments.ts';

/** How errors call a graph that came without a file. */
const BODY = 'graph';

/** What the HTTP API asks of a running job's graphs. */
export function graphsOverHttp(job: () => OpenJob, deployments: Deployments): GraphsApi {
  return {
    schema: graphJsonSchema(),
    async list() {
      const { folder, adopted } = job();
      const versions = await graphVersions(folder);
      return {
        current: adopted.version,
        graphs: versions.map(({ graph: _graph, plan: _plan, ...version }) => toJson(version)),
      };
    },
    async one(version) {
      const { folder, adopted } = job();
      return graphVersion(folder, version ?? adopted.version);
    },
    plan: async (text, discard) => toJson(await planFor(job().folder, parseGraph(text, BODY), discard)),
    async deploy(text, discard, request) {
      const graph = graphDocument(parseGraph(text, BODY));
      return toJson(await deployments.deploy({ graph, how: 'deploy', ...about(request, discard) }));
    },
    rollback: async (version, discard, request) =>
      toJson(await deployments.rollback({ version, ...about(request, discard) })),
  };
}

function toJson(value: object): Json {
  return z.json().parse(JSON.parse(JSON.stringify(value)));
}

function about(
  { by, expectedVersion }: GraphRequest,
  discard: readonly string[],
): { by: string; discard: readonly string[]; expectedVersion?: number } {
  return { by, discard, ...(expectedVersion === null ? {} : { expectedVersion }) };
}
