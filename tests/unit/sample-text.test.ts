import { lastValueFrom } from 'rxjs';
import { expect, test } from 'vitest';
import { plainFormat } from '../../operators/formats.ts';
import type { Topic } from '../../operators/index.ts';
import { sampleText } from '../../pipelines/job/sample-text.ts';
import type { SampleOptions } from '../../pipelines/job/sample-text.ts';
import { MemoryLog } from '../support/memory-log.ts';

async function textTopic(): Promise<Topic> {
  const log = new MemoryLog();
  await log.createTopic('text');
  return lastValueFrom(log.topic('text'));
}

function options(more: Partial<SampleOptions>): SampleOptions {
  const { signal } = new AbortController();
  return {
    formats: { of: () => plainFormat },
    wantedBytes: 1e6,
    enoughBytes: 10,
    quietMs: 1e6,
    patienceMs: 1e6,
    onWaiting: () => undefined,
    signal,
    ...more,
  };
}

/** Produces five bytes over and over, faster than anybody would call quiet. */
function trickle({ log }: Topic): () => void {
  const timer = setInterval(() => void log.produce('text', [{ value: 'drops' }]), 20);
  return () => clearInterval(timer);
}

test('takes what is wanted, and no more', async () => {
  const topic = await textTopic();
  await topic.log.produce('text', [{ value: 'twelve bytes' }, { value: 'more' }]);
  expect(await sampleText([topic], options({ wantedBytes: 12 }))).toBe('twelve bytes');
});

test('takes enough once the stream is quiet', async () => {
  const topic = await textTopic();
  await topic.log.produce('text', [{ value: 'twelve bytes' }]);
  expect(await sampleText([topic], options({ quietMs: 100 }))).toBe('twelve bytes');
});

test('takes enough after a while from a stream that never falls quiet, and does not complain all the time', async () => {
  const topic = await textTopic();
  const stop = trickle(topic);
  const told: number[] = [];
  const sample = await sampleText([topic], options({ patienceMs: 500, onWaiting: (bytes) => told.push(bytes) }));
  stop();
  expect(sample).toContain('drops\ndrops');
  expect(told).toHaveLength(1);
});

test('gives up when told to stop', async () => {
  const topic = await textTopic();
  const abort = new AbortController();
  const sampled = sampleText([topic], options({ signal: abort.signal, onWaiting: () => abort.abort() }));
  expect(await sampled).toBeNull();
});
