export { openEmbeddedLog } from './embedded-log.ts';
export type { EmbeddedLogOptions } from './embedded-log.ts';
export type { Durability } from './storage.ts';
