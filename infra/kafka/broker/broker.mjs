// What TypeScript may import of this folder, with `broker.d.mts` as its declarations.
export { startBroker } from './start-broker.mjs';
