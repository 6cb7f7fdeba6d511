import { expect, test, vi } from 'vitest';
import { Voice } from '../../pipelines/job/voice.ts';
import type { VoiceJob } from '../../pipelines/job/voice.ts';
import { plainFormat } from '../../operators/formats.ts';
import { MillraceError } from '../../operators/errors.ts';
import { MemoryLog } from '../support/memory-log.ts';

test('says that a standing prompt could not be asked, instead of ending the process', async () => {
  const log = new MemoryLog();
  vi.spyOn(log, 'produce').mockRejectedValue(new MillraceError('disk-full', 'There is no room left.'));
  const warnings: string[] = [];
  const standingPrompts = { topic: 'prompts', every: '1s', prompts: ['We the'], maxTokens: 4 } as const;
  const job: VoiceJob = { log, formats: { of: () => plainFormat }, graph: { standingPrompts } };
  const voice = new Voice(job, (message) => warnings.push(message));
  voice.offer({ id: '000000001', step: 1, path: 'weights.safetensors' });
  voice.listening();
  await vi.waitFor(() => expect(warnings).toHaveLength(1));
  expect(warnings[0]).toContain('There is no room left');
  voice.close();
});
