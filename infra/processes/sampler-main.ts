import { constants, setPriority } from 'node:os';
import { AnswerLoop } from './answer-loop.ts';
import type { SamplerMethods } from './sampler-protocol.ts';
import { serve } from './serve.ts';

/** The sampler process: one model sampler, asked by its parent. Training goes first where both want the processor. */
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

let loop: AnswerLoop | null = null;

function started(): AnswerLoop {
  if (loop) return loop;
  throw new Error('The sampler has not been started: `start` comes first.');
}

serve((emit): SamplerMethods => ({
  async start({ engine, share }) {
    // Loaded only now, so that an engine which is missing is an answer and not a crash.
    const { createSampler } = await import('../../model/sampler.ts');
    const { compiledDecoding, eagerDecoding } = await import('../../model/decode-engine.ts');
    const decoding = engine?.mode === 'compiled' ? compiledDecoding(engine.precision) : eagerDecoding;
    loop = new AnswerLoop(createSampler(decoding), emit, share);
  },
  load: (weights) => started().load(weights),
  answer: (request) => started().answer(request),
  cancel: (id) => started().cancel(id),
}));
