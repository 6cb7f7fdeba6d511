export { openEmbeddedLog } from './embedded-log/index.ts';
export type { Durability, EmbeddedLogOptions } from './embedded-log/index.ts';
