import { setTimeout as sleep } from 'node:timers/promises';
import { deliver } from '../../infra/index.ts';
import type { Webhook } from '../../infra/index.ts';
import type { DeadLetters, Formats, TopicLog } from '../../operators/index.ts';
import type { Coordinates, Json } from '../../operators/types.ts';
import { follow, positionsFrom } from '../topics/follow.ts';
import { NumberedRecords } from '../topics/numbered-records.ts';
import type { Champions } from './champions.ts';
import type { Decision } from './promotion-state.ts';

export interface AnnouncerOptions {
  readonly jobId: string;
  readonly log: TopicLog;
  readonly formats: Formats;
  readonly topic: string;
  readonly champions: Champions;
  readonly webhook: Webhook | null;
  readonly deadLetters: DeadLetters;
  readonly onWarning: (message: string) => void;
}

/** Names a decision in its record, and to the webhook. */
const DECISION = 'millrace-decision';
/** How long what is under way at the end may take; what is not done by then is done at the next start. */
const FAREWELL_MS = 3000;
/** With so many that wait, a webhook that takes none is not asked for each of them again and again. */
const MOST_WAITING = 100;

/**
 * Tells of the decisions that stand in the job's file, in their order. Each gets one record, however often the process dies:
 * the record and how far the job has come are one transaction. The webhook is told behind the record, at least once; what it
 * does not take goes to the dead letters.
 */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #closing = new AbortController();
  readonly #records: NumberedRecords;
  #publishing: Promise<void> = Promise.resolve();
  #telling: Promise<void> = Promise.resolve();

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    const { log, jobId, topic } = options;
    this.#records = new NumberedRecords({ log, name: `${jobId}/promotions`, topic });
  }

  /** Something may have been decided. */
  nudge(): void {
    this.#publishing = this.#publishing.then(() => this.#publishAll()).catch((error: unknown) => this.#failed(error));
    const before = Promise.all([this.#publishing, this.#telling]);
    this.#telling = before.then(() => this.#tellAll()).catch((error: unknown) => this.#failed(error));
  }

  async close(): Promise<void> {
    const wait = sleep(FAREWELL_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    await Promise.race([Promise.all([this.#publishing, this.#telling]), wait]);
    this.#closing.abort();
    await this.#records.close();
    await Promise.all([this.#publishing, this.#telling]);
  }

  async #publishAll(): Promise<void> {
    const { champions, topic } = this.#options;
    await this.#records.opened();
    for (const decision of champions.state.decisions) {
      if (decision.sequence < this.#records.next) continue;
      const value = await this.#options.formats.of(topic).write({ ...this.#content(decision) });
      const headers = { [DECISION]: this.#nameOf(decision) };
      await this.#records.write(decision.sequence, { key: decision.snapshot.id, value, headers });
    }
  }

  async #tellAll(): Promise<void> {
    const { webhook, champions, deadLetters } = this.#options;
    for (;;) {
      const { toTell, decisions } = champions.state;
      const waiting = decisions.filter(({ sequence }) => sequence >= (toTell ?? 0) && sequence < this.#records.next);
      const [decision] = waiting;
      if (!webhook || !decision || this.#closing.signal.aborted) return;
      const id = this.#nameOf(decision);
      const body = JSON.stringify(this.#content(decision));
      const attempts = waiting.length > MOST_WAITING ? 1 : webhook.attempts;
      const delivery = await deliver({ ...webhook, attempts }, { id, body }, this.#closing.signal);
      if (delivery.outcome === 'aborted') return;
      if (delivery.outcome === 'failed') {
        const tried = delivery.attempts === 1 ? 'once' : `${delivery.attempts} times`;
        const message = `Decision ${id} could not be sent to the webhook, tried ${tried}: ${delivery.reason}.`;
        const at = await this.#placeOf(decision);
        await deadLetters.put({
          at,
          code: 'webhook-failed',
          message,
          key: Buffer.from(decision.snapshot.id),
          value: Buffer.from(body),
        });
      }
      await champions.change((state) => ({ ...state, toTell: decision.sequence + 1 }));
    }
  }

  /** Where the record of a decision stands; offset -1 where it is gone. */
  async #placeOf(decision: Decision): Promise<Coordinates> {
    const { log, topic } = this.#options;
    const name = this.#nameOf(decision);
    const from = await positionsFrom(log, topic, 'earliest', 0);
    for await (const records of follow(log, from, { signal: this.#closing.signal, untilEnd: true })) {
      const found = records.find(({ headers }) => headers[DECISION] === name);
      if (found) return { topic, partition: 0, offset: found.offset };
    }
    return { topic, partition: 0, offset: -1 };
  }

  #nameOf({ sequence }: Decision): string {
    return `${this.#options.jobId}/${sequence}`;
  }

  #content(decision: Decision): { readonly [key: string]: Json } {
    return promotionContent(this.#options.jobId, decision);
  }

  #failed(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.onWarning(
      `A promotion could not be told of: ${reason} It is tried again with the next one, and when the job starts again.`,
    );
  }
}

/** A decision as its record and the webhook have it. */
function promotionContent(job: string, decision: Decision): { readonly [key: string]: Json } {
  const { snapshot, champion, results, against, answers, reasons, request: _request, ...rest } = decision;
  return {
    event: 'promotion',
    job,
    ...rest,
    snapshot: { ...snapshot },
    champion: champion && { ...champion },
    reasons,
    results: results && { ...results },
    against: against && { ...against },
    answers: answers.map((answer) => ({ ...answer })),
  };
}
