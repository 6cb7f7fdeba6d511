import type { EngineTimes } from '../../model/measure-engine.ts';
import type { Logger } from '../../operators/ports.ts';
import { engineEnvironment } from './engine-environment.ts';
import { Host } from './host.ts';
import type { MeasureRequest, TunerMethods } from './tuner-protocol.ts';

export interface Tuner {
  /** Rejects with `process-died`, and with the model's errors. */
  measure(request: MeasureRequest): Promise<EngineTimes>;
  close(): Promise<void>;
}

/** Starts a process that times engines with so many threads, in the environment that a trainer's would have. */
export function startTuner(threads: number, logger: Logger): Tuner {
  const host = new Host<TunerMethods, never>({
    name: 'tuner',
    module: 'tuner-main',
    env: engineEnvironment({ mode: 'compiled', precision: 'f32', xla: false, threads }),
    logger,
    onEvent: () => undefined,
  });
  return { measure: (request) => host.call('measure', request), close: () => host.close() };
}
