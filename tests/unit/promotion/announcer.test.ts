import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Webhook } from '../../../infra/index.ts';
import { plainFormat } from '../../../operators/formats.ts';
import { Announcer } from '../../../pipelines/promotion/announcer.ts';
import { promotedByHand } from '../../../pipelines/promotion/by-hand.ts';
import { Champions } from '../../../pipelines/promotion/champions.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryDeadLetters } from '../../support/memory-stores.ts';
import { readTopic } from '../../support/read-topic.ts';
import { WebhookReceiver } from '../../support/webhook-receiver.ts';

const SECRET = 'shared by both';
let root: string;
let log: MemoryLog;
let warnings: string[];
let deadLetters: MemoryDeadLetters;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-announcer-'));
  log = new MemoryLog();
  await log.createTopic('promotions');
  warnings = [];
  deadLetters = new MemoryDeadLetters();
});

afterEach(() => rm(root, { recursive: true, force: true }));

function onWarning(message: string): void {
  warnings.push(message);
}

/** As a process of the job has it. */
async function begin(
  webhook: Webhook | null = null,
  through = log,
): Promise<{ champions: Champions; announcer: Announcer }> {
  const champions = await Champions.open({ root });
  const formats = { of: () => plainFormat };
  const about = {
    jobId: 'job',
    log: through,
    formats,
    topic: 'promotions',
    champions,
    webhook,
    deadLetters,
    onWarning,
  };
  return { champions, announcer: new Announcer(about) };
}

/** Decides so many times, for the process to tell of. */
async function decide(champions: Champions, count: number): Promise<void> {
  const first = champions.state.sequence + 1;
  for (let step = first; step < first + count; step += 1) {
    await champions.change((state) => promotedByHand(state, { id: String(step).padStart(9, '0'), step }));
  }
}

async function published(): Promise<number[]> {
  const records = await readTopic(log, 'promotions');
  return records.map(({ value }): number => JSON.parse(String(Buffer.from(value ?? []))).sequence);
}

test('each decision gets one record, whichever process it was made in and whenever that died', async () => {
  const one = await begin();
  await decide(one.champions, 2);
  one.announcer.nudge();
  one.announcer.nudge();
  await one.announcer.close();
  // Dies between the decision and its record.
  await decide(one.champions, 1);
  const two = await begin();
  two.announcer.nudge();
  await decide(two.champions, 1);
  two.announcer.nudge();
  await two.announcer.close();
  const three = await begin();
  three.announcer.nudge();
  await three.announcer.close();
  expect(await published()).toEqual([0, 1, 2, 3]);
  expect(warnings).toEqual([]);
});

test('a record that the log does not take is tried again', async () => {
  const { champions, announcer } = await begin();
  const produce = vi.spyOn(log, 'produce').mockRejectedValueOnce(new Error('There is no room left.'));
  await decide(champions, 2);
  announcer.nudge();
  announcer.nudge();
  await announcer.close();
  expect(await published()).toEqual([0, 1]);
  expect(warnings).toEqual([expect.stringContaining('no room left')]);
  produce.mockRestore();
});

test('the webhook is told of each decision in order; what it refuses goes to the dead letters', async () => {
  const receiver = await WebhookReceiver.open(SECRET, [500, 204, 404]);
  const webhook = { url: receiver.url, secret: SECRET, attempts: 3, backoffMs: 1 };
  try {
    const one = await begin(webhook);
    await one.champions.change((state) => ({ ...state, toTell: 0 }));
    await decide(one.champions, 3);
    one.announcer.nudge();
    await one.announcer.close();
    const two = await begin(webhook);
    two.announcer.nudge();
    await two.announcer.close();
    expect(receiver.received.map(({ id, isSigned }) => [id, isSigned])).toEqual([
      ['job/0', true],
      ['job/0', true],
      ['job/1', true],
      ['job/2', true],
    ]);
    const [letter, ...others] = deadLetters.letters;
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ code: 'webhook-failed', at: { topic: 'promotions', partition: 0, offset: 1 } });
    expect(letter?.message).toContain('tried once: it answers 404');
    const told = (await readTopic(log, 'promotions')).map(({ value }) => String(Buffer.from(value ?? [])));
    expect(receiver.received.slice(1).map(({ body }) => body)).toEqual(told);
  } finally {
    await receiver.close();
  }
});
