import type { Clock } from '../../operators/ports.ts';
import { storedBytes } from './envelope.ts';
import type { PartitionRow, Storage, TopicRow } from './storage.ts';

/** Bounds how long one transaction may hold the log; what is left over is dropped by the next. */
const MAX_DROPS = 5000;
const MIN_CHECK_MS = 100;
const MAX_CHECK_MS = 60_000;

/**
 * Drops the oldest records of partitions that are too large or too old. By size on every produce, where each record
 * costs its own removal once; by age on produce and, at most every tenth of `retentionMs`, when somebody reads. The
 * newest record is never dropped for its size. Ages are those of the timestamps that producers set.
 */
export class Retention {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #nextCheckMs = new Map<number, number>();

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Inside a write transaction: removes what `row` has too much, and returns what it then is. */
  trim(id: number, row: PartitionRow, rules: TopicRow): PartitionRow {
    const { records } = this.#storage;
    const { retentionBytes: maxBytes = Infinity } = rules;
    const oldestMs = this.#oldestKept(rules);
    let { start, bytes } = row;
    if (bytes <= maxBytes && oldestMs === -Infinity) return row;
    for (const { key, value } of records.getRange({ start: [id, start], end: [id, row.end], limit: MAX_DROPS })) {
      const isTooMuch = bytes > maxBytes && key[1] < row.end - 1;
      if (!isTooMuch && value.timestampMs >= oldestMs) break;
      bytes -= storedBytes(value);
      start = key[1] + 1;
    }
    for (let offset = row.start; offset < start; offset += 1) records.removeSync([id, offset]);
    return { ...row, start, bytes };
  }

  /** Drops what has become too old since it was last looked at. */
  async expire(id: number, rules: TopicRow): Promise<void> {
    if (rules.retentionMs === undefined || !this.#isDue(id, rules.retentionMs)) return;
    while (this.#hasExpired(id, rules)) {
      await this.#storage.write(() => {
        const row = this.#storage.partitions.get(id);
        if (row) this.#storage.partitions.putSync(id, this.trim(id, row, rules));
      });
    }
  }

  #isDue(id: number, retentionMs: number): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs < (this.#nextCheckMs.get(id) ?? 0)) return false;
    this.#nextCheckMs.set(id, nowMs + Math.min(MAX_CHECK_MS, Math.max(MIN_CHECK_MS, retentionMs / 10)));
    return true;
  }

  #hasExpired(id: number, rules: TopicRow): boolean {
    this.#storage.refresh();
    const start = this.#storage.partitions.get(id)?.start ?? 0;
    const oldest = this.#storage.records.get([id, start]);
    return oldest !== undefined && oldest.timestampMs < this.#oldestKept(rules);
  }

  #oldestKept({ retentionMs }: TopicRow): number {
    return retentionMs === undefined ? -Infinity : this.#clock.nowMs() - retentionMs;
  }
}
