export { openKafkaLog } from './kafka-log.ts';
export type { KafkaLogOptions } from './kafka-log.ts';
export { compressions } from './codecs.ts';
export type { Compression } from './codecs.ts';
export type { KafkaSecurity } from './security.ts';
export type { Outage } from './patience.ts';
