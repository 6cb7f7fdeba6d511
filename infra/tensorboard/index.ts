export { createEventFile } from './event-file.ts';
export type { EventFile } from './event-file.ts';
export type { Scalar, ScalarEvent } from './encode-event.ts';
