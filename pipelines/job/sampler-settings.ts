import type { SamplerProcessOptions } from '../../infra/index.ts';
import type { OpenJob } from './open-job.ts';

/** How the samplers of a job run: each with the share that the graph gives it, in the precision that training has. */
export function samplerSettings({ graph, settings }: OpenJob): Pick<SamplerProcessOptions, 'engine' | 'share'> {
  return { engine: settings.engine, share: graph.sampler?.share };
}
