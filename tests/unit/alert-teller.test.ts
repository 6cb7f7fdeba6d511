import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadAvroSchema, avroFormat } from '../../infra/index.ts';
import { plainFormat } from '../../operators/formats.ts';
import type { TopicFormat } from '../../operators/formats.ts';
import { AlertTeller } from '../../pipelines/alerts/alert-teller.ts';
import { lintGraph } from '../../pipelines/index.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryDeadLetters } from '../support/memory-stores.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const SECRET = 'a secret of sixteen';
let log: MemoryLog;
let deadLetters: MemoryDeadLetters;
let receiver: WebhookReceiver;

beforeEach(async () => {
  log = new MemoryLog();
  deadLetters = new MemoryDeadLetters();
  await log.createTopic('alerts');
});

afterEach(() => receiver.close());

function alertOf(message: string, job = 'job'): Record<string, unknown> {
  const fixed = { event: 'alert', id: 'i', rule: 'r', state: 'raised', subject: 's', figures: {}, atMs: 1, step: 1 };
  return { ...fixed, job, message };
}

async function raise(message: string, format: TopicFormat = plainFormat, job = 'job'): Promise<void> {
  await log.produce('alerts', [{ value: await format.write(alertOf(message, job)) }]);
}

async function start(statuses: readonly number[] = [], format: TopicFormat = plainFormat): Promise<AlertTeller> {
  receiver = await WebhookReceiver.open(SECRET, statuses);
  return AlertTeller.start({
    jobId: 'job',
    log,
    formats: { of: () => format },
    topic: 'alerts',
    webhook: { url: receiver.url, secret: SECRET, attempts: 2, backoffMs: 1 },
    deadLetters,
    onWarning: (message) => {
      throw new Error(message);
    },
  });
}

function told(): readonly string[] {
  return receiver.received.map(({ body }) => JSON.parse(body).message);
}

describe('a webhook for alerts', () => {
  it('is told of those of its job, from its first start on, in order and signed', async () => {
    await raise('before');
    const teller = await start();
    for (const message of ['one', 'two']) await raise(message);
    await raise('of another', plainFormat, 'other');
    await log.produce('alerts', [{ value: 'no alert' }, { value: null }]);
    await teller.close();
    expect(told()).toEqual(['one', 'two']);
    expect(receiver.received.map(({ id, isSigned }) => ({ id, isSigned }))).toEqual([
      { id: 'alerts/0@1', isSigned: true },
      { id: 'alerts/0@2', isSigned: true },
    ]);
  });

  it('is told at the next start of what was raised since', async () => {
    const first = await start();
    await raise('one');
    await first.close();
    await receiver.close();
    await raise('two');
    const second = await start();
    await second.close();
    expect(told()).toEqual(['two']);
  });

  it('reads alerts in the format of their topic', async () => {
    const schema = loadAvroSchema('millrace.Alert');
    const format = avroFormat({ topic: 'alerts', field: null, schema, registry: null });
    const teller = await start([], format);
    await raise('one', format);
    await teller.close();
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toEqual(alertOf('one'));
  });

  it('loses none that is refused: it goes to the dead letters, and the next one is told', async () => {
    const teller = await start([400]);
    for (const message of ['one', 'two']) await raise(message);
    await teller.close();
    expect(told()).toEqual(['one', 'two']);
    expect(deadLetters.letters).toEqual([
      expect.objectContaining({
        at: { topic: 'alerts', partition: 0, offset: 0 },
        code: 'webhook-failed',
        message: 'Alert alerts/0@0 could not be sent to the webhook, tried once: it answers 400.',
      }),
    ]);
  });
});

describe('a graph with such a webhook', () => {
  it('must have the topic', async () => {
    receiver = await WebhookReceiver.open(SECRET);
    const { findings } = lintGraph(`
name: g
topics: { text: {} }
alerts: { webhook: { url: 'https://example.org/hook' } }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {} }
    - { uid: train, trainStep: {} }
`);
    expect(findings.map(({ path }) => path)).toContainEqual(expect.stringContaining('alerts'));
  });
});
