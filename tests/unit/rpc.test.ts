import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { RpcClient, answer } from '../../infra/processes/rpc.ts';
import type { Answer, Request } from '../../infra/processes/rpc.ts';
import { fromWire, toWire } from '../../infra/processes/wire-error.ts';
import { ModelError } from '../../model/errors.ts';
import { MillraceError } from '../../operators/errors.ts';
import { settle } from '../support/settle.ts';

type Counting = {
  readonly add: (by: number) => number;
  readonly addLater: (by: number) => Promise<number>;
  readonly tell: (event: string) => void;
  readonly fail: () => never;
};

/** Both ends over a real channel, which copies what goes over it as one between processes does. */
const { port1, port2 } = new MessageChannel();
const events: string[] = [];
let total = 0;
const methods: Counting = {
  add: (by) => (total += by),
  addLater: async (by) => {
    await settle();
    return (total += by);
  },
  tell: (event) => port2.postMessage({ kind: 'event', event }),
  fail: () => {
    throw new ModelError('shape-mismatch', 'Too long.', { cause: new RangeError('The cause.') });
  },
};
port2.on('message', (request: Request<never>) => void answer(methods, request, (reply) => port2.postMessage(reply)));
const connect = (): RpcClient<Counting, string> => {
  const client = new RpcClient<Counting, string>(
    (request) => port1.postMessage(request),
    (event) => events.push(event),
  );
  port1.on('message', (reply: Answer<string, never>) => client.receive(reply));
  return client;
};
afterEach(() => {
  port1.removeAllListeners('message');
  total = 0;
});

test('calls start in the order in which they were made, and each gets its own answer', async () => {
  const client = connect();
  const answers = await Promise.all([client.call('add', 1), client.call('addLater', 10), client.call('add', 100)]);
  expect(answers).toEqual([1, 111, 101]);
});

test('events come before the answer of the call that told them', async () => {
  await connect().call('tell', 'half way');
  expect(events).toEqual(['half way']);
});

test('an error comes back with its code and its cause', async () => {
  const error: unknown = await connect()
    .call('fail', undefined)
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(MillraceError);
  expect(error).toMatchObject({ code: 'shape-mismatch', message: 'Too long.', cause: { message: 'The cause.' } });
});

test('a connection that failed rejects the calls under way and those to come', async () => {
  const client = connect();
  const underWay = client.call('addLater', 1);
  client.fail(new MillraceError('process-died', 'Gone.'));
  client.fail(new MillraceError('process-died', 'Gone twice.'));
  await expect(underWay).rejects.toThrow('Gone.');
  await expect(client.call('add', 1)).rejects.toThrow('Gone.');
  await once(port1, 'message');
});

test('errors keep name, stack and cause; a full disk gets its code', () => {
  const error = new RangeError('Beyond.', { cause: 'no error' });
  const back = fromWire(structuredClone(toWire(error)));
  expect(back).toMatchObject({ name: 'RangeError', message: 'Beyond.', stack: error.stack });
  expect(back.cause).toMatchObject({ message: 'no error' });
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  expect(fromWire(structuredClone(toWire(full)))).toMatchObject({
    code: 'disk-full',
    cause: { message: 'ENOSPC: no space left on device, write' },
  });
});
