import { expect, test, vi } from 'vitest';
import { Voice } from '../../pipelines/job/voice.ts';
import type { VoiceJob } from '../../pipelines/job/voice.ts';
import { plainFormat } from '../../operators/formats.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Sampler } from '../../operators/ports.ts';
import { fakeSampler } from '../support/fakes.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { Deferred, settle } from '../support/settle.ts';

const job: VoiceJob = { log: new MemoryLog(), formats: { of: () => plainFormat }, graph: {} };

test('tells of weights that are refused, and the ones before them go on', async () => {
  const voice = new Voice(job, () => undefined);
  const sampler = fakeSampler();
  const refused: string[] = [];
  voice.refused.subscribe(({ weights, error }) => refused.push(`${weights.id}: ${String(error)}`));
  voice.keepCurrent(sampler);
  voice.offer({ id: '000000001', step: 1, path: 'good' });
  voice.offer({ id: '000000002', step: 2, path: 'bad' });
  await vi.waitFor(() => expect(refused).toEqual(['000000002: MillraceError: bad is bad.']));
  expect(sampler.loaded).toMatchObject([{ id: '000000001' }]);
  voice.close();
});

test('offers newer weights while older ones wait, and says nothing of a sampler that died', async () => {
  const voice = new Voice(job, () => undefined);
  const asked: string[] = [];
  const pending: Deferred<void>[] = [];
  const sampler: Sampler = {
    ...fakeSampler(),
    load: ({ id }) => {
      asked.push(id);
      const loading = new Deferred<void>();
      pending.push(loading);
      return loading.promise;
    },
  };
  const refused: unknown[] = [];
  voice.refused.subscribe((each) => refused.push(each));
  voice.keepCurrent(sampler);
  for (const id of ['1', '2']) voice.offer({ id, step: 1, path: id });
  expect(asked).toEqual(['1', '2']);
  pending[0]?.reject(new MillraceError('process-died', 'The sampler was ended.'));
  await settle();
  expect(refused).toEqual([]);
  voice.close();
});

test('says that a standing prompt could not be asked, instead of ending the process', async () => {
  const log = new MemoryLog();
  vi.spyOn(log, 'produce').mockRejectedValue(new MillraceError('disk-full', 'There is no room left.'));
  const warnings: string[] = [];
  const standingPrompts = { topic: 'prompts', every: '1s', prompts: ['We the'], maxTokens: 4 } as const;
  const asking: VoiceJob = { ...job, log, graph: { standingPrompts } };
  const voice = new Voice(asking, (message) => warnings.push(message));
  voice.offer({ id: '000000001', step: 1, path: 'weights.safetensors' });
  voice.listening();
  await vi.waitFor(() => expect(warnings).toHaveLength(1));
  expect(warnings[0]).toContain('There is no room left');
  voice.close();
});
