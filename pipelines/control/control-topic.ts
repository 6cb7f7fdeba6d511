import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogRecord, TopicLog, TopicRecord, Position, Transactions } from '../../operators/index.ts';
import type { OpenJob } from '../job/open-job.ts';

export interface ControlTopicOptions {
  /** The job under the graph that it has now. */
  readonly job: () => Pick<OpenJob, 'folder' | 'graph' | 'log'>;
  /** As `CommandHandler.handle`. */
  readonly handle: (record: LogRecord, signal: AbortSignal) => Promise<readonly TopicRecord[] | null>;
  readonly onWarning: (message: string) => void;
}

const POLL_MS = 1000;
const AGAIN_MS = 5000;

/**
 * Reads the control topic that the job's graph names, and has done what its records ask for, one after the other. What is
 * told of a record and that it was read are one transaction, so each is told once. A job that has never read the topic
 * begins at its end: what was asked of others before is not for it. A log that fails is tried again.
 */
export class ControlTopic {
  readonly #options: ControlTopicOptions;
  readonly #closed = new AbortController();
  #changed = new AbortController();
  /** What is read now. */
  #topic: string | undefined;
  readonly #running: Promise<void>;

  constructor(options: ControlTopicOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** The job has another graph, which may name another topic. */
  follow(): void {
    if (this.#wanted !== this.#topic) this.#changed.abort();
  }

  /** Resolves when the command under way is done, or given up because the job ends. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#changed.abort();
    await this.#running;
  }

  get #wanted(): string | undefined {
    return this.#options.job().graph.control?.topic;
  }

  async #run(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      this.#changed = new AbortController();
      this.#topic = this.#wanted;
      const { signal } = this.#changed;
      try {
        if (this.#topic === undefined) await once(signal, 'abort');
        else await this.#follow(this.#topic, signal);
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        this.#options.onWarning(`Topic ${this.#topic} is tried again in a while: ${String(error)}`);
        await sleep(AGAIN_MS, undefined, { signal: this.#closed.signal }).catch(() => undefined);
      }
    }
  }

  async #follow(topic: string, signal: AbortSignal): Promise<void> {
    const { log, folder } = this.#options.job();
    const group = `${folder.id}/control`;
    const transactions = await log.transactions(group, group);
    try {
      await this.#read(log, await begin(log, topic, group, transactions), transactions, signal);
    } finally {
      await transactions.close();
    }
  }

  async #read(
    log: TopicLog,
    from: readonly Position[],
    transactions: Transactions,
    signal: AbortSignal,
  ): Promise<void> {
    const reader = log.reader(from);
    try {
      while (!signal.aborted) {
        const [record] = await reader.poll({ maxRecords: 1, waitMs: POLL_MS, signal });
        if (!record) continue;
        const records = await this.#options.handle(record, this.#closed.signal);
        if (!records) {
          // Nobody would do what the next one asks for, either.
          if (!this.#closed.signal.aborted) await once(this.#closed.signal, 'abort');
          return;
        }
        const { topic, partition, offset } = record;
        await transactions.commit({ records, positions: [{ topic, partition, offset: offset + 1 }] });
      }
    } finally {
      await reader.close();
    }
  }
}

/** Where each partition is read from: behind what was handled last, as far as retention has left it. */
async function begin(
  log: TopicLog,
  topic: string,
  group: string,
  transactions: Transactions,
): Promise<readonly Position[]> {
  const known = await log.committed(group, topic);
  const positions = (await log.offsets(topic)).map(({ partition, start, end }) => {
    const offset = known.find((position) => position.partition === partition)?.offset;
    // A partition that was added to a topic which is read has had nothing before.
    return { topic, partition, offset: Math.max(start, offset ?? (known.length > 0 ? start : end)) };
  });
  if (known.length === 0) await transactions.commit({ records: [], positions });
  return positions;
}
