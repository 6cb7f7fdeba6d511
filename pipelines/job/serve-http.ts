import { openHttpServer, startSampler } from '../../infra/index.ts';
import type { GraphsApi } from '../../infra/index.ts';
import type { Logger } from '../../operators/index.ts';
import { has } from '../spec/streams.ts';
import type { OpenJob } from './open-job.ts';
import { samplerSettings } from './sampler-settings.ts';
import type { Voice } from './voice.ts';

/** Where the model is to be asked over HTTP, and what whoever asks must bring. */
export interface HttpPlace {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  readonly token?: string | undefined;
  /** What whoever changes the graph must bring instead, where that is another. */
  readonly graphsToken?: string | undefined;
}

export interface ServedHttp {
  readonly url: string;
  readonly model: string;
  close(): Promise<void>;
}

/**
 * Lets the job's model be asked over HTTP: with the sampler that answers its prompts, or one of its own where no stream has
 * one. Rejects with `bad-usage` when it can't listen there.
 */
export async function serveHttp(
  job: OpenJob,
  voice: Voice,
  place: HttpPlace & { readonly graphs: GraphsApi },
  logger: Logger,
): Promise<ServedHttp> {
  const hasSampler = Object.values(job.graph.streams).some((steps) => has(steps, 'generate'));
  const own = hasSampler ? null : await startSampler({ logger, ...samplerSettings(job) });
  const listening = own && voice.keepCurrent(own);
  const model = {
    id: job.graph.name,
    maxContext: job.settings.model.maxContext,
    createdAtMs: Date.now(),
    isReady: () => voice.hasWeights,
  };
  const close = async (): Promise<void> => {
    listening?.unsubscribe();
    await own?.close();
  };
  try {
    const server = await openHttpServer({ ...place, model, sampler: voice, tokenizer: job.tokenizer, logger });
    return {
      url: server.url,
      model: model.id,
      close: async () => {
        await server.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
