export { openEmbeddedLog } from './embedded-log/index.ts';
export type { Durability, EmbeddedLogOptions } from './embedded-log/index.ts';
export { logDeadLetters } from './log-dead-letters.ts';
export { logLedger } from './log-ledger.ts';
