import { afterEach, expect, test } from 'vitest';
import { deliver } from '../../infra/index.ts';
import type { Delivery } from '../../infra/index.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const SECRET = 'a secret of sixteen';
const message = { id: 'job/7', body: '{"event":"promotion"}' };
const never = new AbortController().signal;
let receiver: WebhookReceiver | undefined;

afterEach(async () => {
  await receiver?.close();
  receiver = undefined;
});

async function send(statuses: readonly number[], signal: AbortSignal = never): Promise<Delivery> {
  receiver = await WebhookReceiver.open(SECRET, statuses);
  return deliver({ url: receiver.url, secret: SECRET, attempts: 4, backoffMs: 1 }, message, signal);
}

test('sends a message once, signed, where it is taken', async () => {
  expect(await send([])).toEqual({ outcome: 'delivered' });
  expect(receiver?.received).toEqual([{ ...message, isSigned: true }]);
});

test('tries again, under the same id, after faults of the other side, broken connections and wishes for later', async () => {
  expect(await send([500, 0, 429])).toEqual({ outcome: 'delivered' });
  expect(receiver?.received).toEqual(Array.from({ length: 4 }, () => ({ ...message, isSigned: true })));
});

test('gives up after so many attempts', async () => {
  expect(await send([503, 503, 503, 503])).toEqual({ outcome: 'failed', attempts: 4, reason: 'it answers 503' });
  expect(receiver?.received).toHaveLength(4);
});

test.each([400, 401, 404, 302])('does not try again where it is refused for good, as by %d', async (status) => {
  expect(await send([status])).toEqual({ outcome: 'failed', attempts: 1, reason: `it answers ${status}` });
});

test('says why nobody answers', async () => {
  receiver = await WebhookReceiver.open(SECRET);
  const { url } = receiver;
  await receiver.close();
  receiver = undefined;
  const failed = await deliver({ url, secret: SECRET, attempts: 2, backoffMs: 1 }, message, never);
  expect(failed).toMatchObject({ outcome: 'failed', attempts: 2, reason: expect.stringContaining('ECONNREFUSED') });
});

test('stops at once when it is told to, also between two attempts', async () => {
  receiver = await WebhookReceiver.open(SECRET, [500]);
  const abort = new AbortController();
  const sending = deliver(
    { url: receiver.url, secret: SECRET, attempts: 4, backoffMs: 3_600_000 },
    message,
    abort.signal,
  );
  while (receiver.received.length === 0) await new Promise((done) => setImmediate(done));
  abort.abort();
  expect(await sending).toEqual({ outcome: 'aborted' });
});

test('takes a key in base64 behind whsec_', async () => {
  receiver = await WebhookReceiver.open(SECRET);
  const secret = `whsec_${Buffer.from(SECRET).toString('base64')}`;
  await deliver({ url: receiver.url, secret, attempts: 1, backoffMs: 1 }, message, never);
  expect(receiver.received).toEqual([{ ...message, isSigned: true }]);
});
