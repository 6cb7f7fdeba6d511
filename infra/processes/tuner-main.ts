import { serve } from './serve.ts';
import type { TunerMethods } from './tuner-protocol.ts';

/** A process that times engines. Its threads are set by its environment, so each number of them needs its own. */
serve((): TunerMethods => ({
  async measure({ settings, engine, shape }) {
    // Loaded only now, so that an engine which is missing is an answer and not a crash.
    const { measureEngine } = await import('../../model/measure-engine.ts');
    return measureEngine(settings, engine, shape);
  },
}));
