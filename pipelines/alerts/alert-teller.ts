import { z } from 'zod';
import { deliver } from '../../infra/index.ts';
import type { Webhook } from '../../infra/index.ts';
import type { DeadLetters, Formats, LogRecord, TopicLog } from '../../operators/index.ts';
import { readable } from '../topics/encode.ts';
import { follow, positionsFrom } from '../topics/follow.ts';
import { jsonOf, textOf } from '../topics/published.ts';

export interface AlertTellerOptions {
  readonly jobId: string;
  readonly log: TopicLog;
  readonly formats: Formats;
  readonly topic: string;
  readonly webhook: Webhook;
  readonly deadLetters: DeadLetters;
  readonly onWarning: (message: string) => void;
}

const alertSchema = z.object({ event: z.literal('alert'), job: z.string() });

/** How long what is under way at the end may take; what is not told by then is told at the next start. */
const FAREWELL_MS = 3000;

/**
 * Tells a webhook of a job's alerts, in the order in which they stand in their topic, each at least once: how far it has come is
 * a position of the job's group. A job that starts for the first time tells of those from then on. What the webhook does not
 * take goes to the dead letters.
 */
export class AlertTeller {
  readonly #options: AlertTellerOptions;
  readonly #group: string;
  readonly #closing = new AbortController();
  #telling: Promise<void> = Promise.resolve();

  private constructor(options: AlertTellerOptions) {
    this.#options = options;
    this.#group = `${options.jobId}/alerts`;
  }

  /** Rejects with `topic-missing`. */
  static async start(options: AlertTellerOptions): Promise<AlertTeller> {
    const { log, topic } = options;
    const teller = new AlertTeller(options);
    const told = await log.committed(teller.#group, topic);
    const known = new Set(told.map(({ partition }) => partition));
    const others = await positionsFrom(log, topic, 'latest', null);
    await log.commit(teller.#group, [...told, ...others.filter(({ partition }) => !known.has(partition))]);
    teller.#telling = teller.#tell(teller.#closing.signal, false);
    return teller;
  }

  /** Tells of what is there by now, if that does not take long. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#telling;
    await this.#tell(AbortSignal.timeout(FAREWELL_MS), true);
  }

  async #tell(signal: AbortSignal, untilEnd: boolean): Promise<void> {
    const { log, topic, onWarning } = this.#options;
    try {
      const from = await log.committed(this.#group, topic);
      for await (const records of follow(log, from, { signal, untilEnd })) {
        for (const record of records) if (!(await this.#tellOf(record, signal))) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      onWarning(`Alerts could not be told of: ${reason} That is tried again when the job starts again.`);
    }
  }

  /** False where there was no time for it. */
  async #tellOf(record: LogRecord, signal: AbortSignal): Promise<boolean> {
    const { log, topic, formats, webhook, deadLetters } = this.#options;
    const { partition, offset, key } = record;
    const { value } = await readable(record, formats.of(topic));
    const body = value === null ? null : textOf(value);
    if (body !== null && this.#isOurs(body)) {
      const id = `${topic}/${partition}@${offset}`;
      const delivery = await deliver(webhook, { id, body }, signal);
      if (delivery.outcome === 'aborted') return false;
      if (delivery.outcome === 'failed') {
        const tried = delivery.attempts === 1 ? 'once' : `${delivery.attempts} times`;
        const message = `Alert ${id} could not be sent to the webhook, tried ${tried}: ${delivery.reason}.`;
        const at = { topic, partition, offset };
        await deadLetters.put({ at, code: 'webhook-failed', message, key, value: Buffer.from(body) });
      }
    }
    await log.commit(this.#group, [{ topic, partition, offset: offset + 1 }]);
    return true;
  }

  #isOurs(body: string): boolean {
    const alert = alertSchema.safeParse(jsonOf(body));
    return alert.success && alert.data.job === this.#options.jobId;
  }
}
