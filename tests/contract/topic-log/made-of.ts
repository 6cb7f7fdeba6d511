import type { Transaction } from '../../../operators/ports.ts';

/** What comes of the record at an offset of partition 0: two records in each of the outputs, in two partitions. */
export function madeOf(topic: string, offset: number, outputs: readonly string[]): Transaction {
  return {
    records: outputs.flatMap((output) => [
      { topic: output, value: `${offset}a`, partition: 0 },
      { topic: output, value: `${offset}b`, partition: 1 },
    ]),
    positions: [{ topic, partition: 0, offset: offset + 1 }],
  };
}
