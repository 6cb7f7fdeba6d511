import { plainFormat } from '../../operators/formats.ts';
import type { Services } from '../../operators/kind.ts';
import { byteTokenizer } from './byte-tokenizer.ts';
import { fakeSampler, fakeTrainer } from './fakes.ts';
import { MemoryLog } from './memory-log.ts';
import { MemoryAnswers, MemoryCheckpoints, MemoryDeadLetters, MemoryLedger } from './memory-stores.ts';

/** What a graph's operators are given, all in memory. */
export function memoryServices(): Services {
  return {
    jobId: 'job',
    lineage: 0,
    log: new MemoryLog(),
    formats: { of: () => plainFormat },
    clock: { nowMs: () => 0 },
    tokenizer: byteTokenizer,
    deadLetters: new MemoryDeadLetters(),
    ledger: new MemoryLedger(),
    store: new MemoryCheckpoints(),
    trainer: fakeTrainer(),
    sampler: fakeSampler(),
    answers: new MemoryAnswers(),
    batch: { rows: 2, context: 4 },
    restore: null,
    maxSteps: Infinity,
    assignments: null,
  };
}
