import { mkdirSync } from 'node:fs';
import type { ModelTrainer } from '../../model/trainer.ts';
import { serve } from './serve.ts';
import type { TrainerMethods } from './trainer-protocol.ts';

/** The trainer process: one model trainer, asked by its parent. */
let trainer: ModelTrainer | null = null;

function started(): ModelTrainer {
  if (trainer) return trainer;
  throw new Error('The trainer has not been started: `start` comes first.');
}

serve((): TrainerMethods => ({
  async start(settings) {
    // Loaded only now, so that an engine which is missing is an answer and not a crash.
    const { createTrainer } = await import('../../model/trainer.ts');
    trainer = createTrainer(settings);
  },
  restore: (snapshot) => started().restore(snapshot),
  tune: (learningRate) => started().tune(learningRate),
  step: ({ batch, guard }) => started().step(batch, guard),
  evaluate: (input) => started().evaluate(input),
  snapshot(directory) {
    mkdirSync(directory);
    return started().snapshot(directory);
  },
}));
