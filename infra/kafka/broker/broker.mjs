// What TypeScript may import of this folder, with `broker.d.mts` as its declarations.
export { freePorts } from './free-ports.mjs';
export { kafkaClassPath } from './libraries.mjs';
export { serverProperties } from './server-properties.mjs';
export { startBroker } from './start-broker.mjs';
