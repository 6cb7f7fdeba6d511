import { Observable } from 'rxjs';
import type { Subscriber } from 'rxjs';
import type { EngineSettings } from '../../model/settings.ts';
import type { Logger, SampleDelta, SampleRequest, Sampler, WeightsFile } from '../../operators/ports.ts';
import { Host } from './host.ts';
import type { SamplerEvent, SamplerMethods } from './sampler-protocol.ts';

export interface SamplerProcessOptions {
  readonly logger: Logger;
  /** As the trainer's: it speaks in the precision that it is taught in. Op by op when absent. */
  readonly engine?: EngineSettings | undefined;
  /** Of the time in which there is something to answer, so much is for the model, and the rest for others; all when absent. */
  readonly share?: number | undefined;
  /** Environment of the process, for instance `TF_NUM_INTRAOP_THREADS`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A sampler in a process of its own. */
export interface SamplerProcess extends Sampler {
  readonly pid: number | undefined;
}

/** Decoding few sequences is faster with one thread, and leaves the others to training. */
const oneThread = { TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '1' };

/**
 * Starts a sampler process, which gives way to others where the processor is short. Resolves when it is ready to load.
 *
 * Rejects with `engine-missing` or `process-died`.
 */
export async function startSampler(options: SamplerProcessOptions): Promise<SamplerProcess> {
  const { logger, engine, share = 1, env = {} } = options;
  const answers = new Map<string, Subscriber<SampleDelta>>();
  const host = new Host<SamplerMethods, SamplerEvent>({
    name: 'sampler',
    module: 'sampler-main',
    env: { ...oneThread, ...env },
    logger,
    onEvent: ({ weights, deltas }) => {
      for (const { id, version: _version, ...delta } of deltas) answers.get(id)?.next({ ...delta, weights });
    },
  });
  try {
    await host.call('start', { engine, share });
  } catch (error) {
    await host.close();
    throw error;
  }
  return new ChildSampler(host, answers);
}

class ChildSampler implements SamplerProcess {
  readonly #host: Host<SamplerMethods, SamplerEvent>;
  readonly #answers: Map<string, Subscriber<SampleDelta>>;
  #lastId = 0;

  constructor(host: Host<SamplerMethods, SamplerEvent>, answers: Map<string, Subscriber<SampleDelta>>) {
    this.#host = host;
    this.#answers = answers;
  }

  get pid(): number | undefined {
    return this.#host.pid;
  }

  load(weights: WeightsFile): Promise<void> {
    return this.#host.call('load', weights);
  }

  sample(request: SampleRequest): Observable<SampleDelta> {
    // Deltas come as events of the process, the end as the answer to a call: no RxJS creator joins the two.
    return new Observable((subscriber) => {
      const id = String(++this.#lastId);
      let isOver = false;
      this.#answers.set(id, subscriber);
      this.#host.call('answer', { id, request }).then(
        () => {
          isOver = true;
          subscriber.complete();
        },
        (error: unknown) => {
          isOver = true;
          subscriber.error(error);
        },
      );
      return () => {
        this.#answers.delete(id);
        // Nobody is left to be told that the process died before it could be cancelled.
        if (!isOver) this.#host.call('cancel', id).catch(() => undefined);
      };
    });
  }

  close(): Promise<void> {
    return this.#host.close();
  }
}
