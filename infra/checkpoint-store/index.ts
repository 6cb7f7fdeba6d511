export { readManifest } from './manifest.ts';
export type { Manifest } from './manifest.ts';
export { dropCheckpoint, openCheckpointStore } from './store.ts';
export type { CheckpointStoreOptions } from './store.ts';
