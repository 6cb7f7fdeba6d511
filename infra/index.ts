export { openEmbeddedLog } from './embedded-log/index.ts';
export type { Durability, EmbeddedLogOptions } from './embedded-log/index.ts';
export { logDeadLetters } from './log-dead-letters.ts';
export { logLedger } from './log-ledger.ts';
export { openCheckpointStore, readManifest } from './checkpoint-store/index.ts';
export type { CheckpointStoreOptions, Manifest } from './checkpoint-store/index.ts';
export { lockJob } from './job-lock.ts';
export type { JobLock } from './job-lock.ts';
