import { expect, test } from 'vitest';
import { openLog } from '../../pipelines/job/open-log.ts';

test('a graph that speaks of Kafka is not run on the log of the folder, for want of brokers', async () => {
  const spec = { kafka: { patience: '5m' as const, compression: 'lz4' as const }, topics: {} };
  await expect(openLog({ dataDir: 'never-made', spec })).rejects.toMatchObject({
    code: 'bad-usage',
    message: expect.stringContaining('--brokers'),
  });
});
