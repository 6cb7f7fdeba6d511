import { KafkaJSConnectionError } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Patience } from '../../infra/kafka/patience.ts';
import type { Outage } from '../../infra/kafka/patience.ts';

const brokers = ['broker:9092'];
const away = (): Promise<never> => Promise.reject(new KafkaJSConnectionError('connect ECONNREFUSED'));

describe('patience', () => {
  let outages: Outage[];
  const onOutage = (outage: Outage): void => void outages.push(outage);

  beforeEach(() => {
    outages = [];
    vi.useFakeTimers();
  });
  afterEach(() => vi.useRealTimers());

  it('tries again, ever less often, until it goes well, and tells of the outage once', async () => {
    const patience = new Patience({ brokers, patienceMs: 60_000, onOutage });
    const startedMs = performance.now();
    const attemptsMs: number[] = [];
    const work = (): Promise<string> => {
      attemptsMs.push(performance.now() - startedMs);
      return performance.now() - startedMs < 5000 ? away() : Promise.resolve('done');
    };
    const running = patience.run({ work });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await running).toBe('done');
    expect(attemptsMs.map(Math.round)).toEqual([0, 50, 150, 350, 750, 1550, 2550, 3550, 4550, 5550]);
    expect(outages).toEqual([
      {
        state: 'waiting',
        reason: expect.stringContaining('No Kafka broker answers at broker:9092'),
        patienceMs: 60_000,
      },
      { state: 'over', lastedMs: expect.closeTo(5550, 0) },
    ]);
  });

  it('tells nothing of what passes within a second', async () => {
    const patience = new Patience({ brokers, patienceMs: 60_000, onOutage });
    let attempts = 0;
    const running = patience.run({ work: () => (++attempts < 5 ? away() : Promise.resolve(attempts)) });
    await vi.advanceTimersByTimeAsync(2000);
    expect(await running).toBe(5);
    expect(outages).toEqual([]);
  });

  it('ends with an error that says for how long it was tried', async () => {
    const running = new Patience({ brokers, patienceMs: 30_000 }).run({ work: away }).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(31_000);
    expect(await running).toMatchObject({
      code: 'broker-unreachable',
      message: expect.stringMatching(/broker:9092, tried for (29|30) s: .*--brokers/),
    });
  });

  it('does not try again what will not pass, nor what nobody waits for', async () => {
    const patience = new Patience({ brokers, patienceMs: 60_000 });
    const refused = Object.assign(new Error('Too large.'), { type: 'MESSAGE_TOO_LARGE', retriable: false });
    const work = vi.fn<() => Promise<never>>(() => Promise.reject(refused));
    await expect(patience.run({ work })).rejects.toMatchObject({ code: 'record-too-large' });
    expect(work).toHaveBeenCalledTimes(1);
    await expect(patience.run({ work: away, isWanted: () => false })).rejects.toMatchObject({
      code: 'broker-unreachable',
    });
  });

  it('waits some seconds only once somebody wants to leave, also for calls that begin then', async () => {
    const hurry = new AbortController();
    const patience = new Patience({ brokers, patienceMs: 600_000, hurry: hurry.signal });
    const settled = vi.fn<(error: unknown) => void>();
    patience.run({ work: away }).catch(settled);
    await vi.advanceTimersByTimeAsync(60_000);
    hurry.abort();
    await vi.advanceTimersByTimeAsync(3000);
    expect(settled).not.toHaveBeenCalled();
    patience.run({ work: away }).catch(settled);
    await vi.advanceTimersByTimeAsync(6000);
    expect(settled).toHaveBeenCalledTimes(2);
  });
});
