import type { LogReader, PartitionOffsets, Position } from '../../operators/ports.ts';
import { MemoryLog } from './memory-log.ts';

const STRIDE = 3;

/** A log that leaves offsets out, as Kafka does for the marks of transactions: records are at 0, 3, 6, ... */
export class SparseLog extends MemoryLog {
  override async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    const offsets = await super.offsets(topic);
    return offsets.map(({ start, end, ...at }) => ({ ...at, start: start * STRIDE, end: end * STRIDE }));
  }

  override reader(from: readonly Position[]): LogReader {
    const reader = super.reader(from.map((at) => ({ ...at, offset: Math.ceil(at.offset / STRIDE) })));
    return {
      poll: async (options) => {
        const records = await reader.poll(options);
        return records.map((record) => ({ ...record, offset: record.offset * STRIDE }));
      },
      positions: () => reader.positions().map((at) => ({ ...at, offset: at.offset * STRIDE })),
      close: () => reader.close(),
    };
  }
}
