/** Puts checkpoints into a store without end, and prints the id of each once it is committed. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpointStore } from '../../../infra/index.ts';

const [directory = '', staging = ''] = process.argv.slice(2);
const logger = { info: () => undefined, warn: () => undefined };
const store = await openCheckpointStore(directory, { jobId: 'job', logger, describe: {} });
for (let step = 0; ; step += 1) {
  const path = join(staging, `weights-${process.pid}.bin`);
  await writeFile(path, randomBytes(1_000_000));
  const files = [{ name: 'weights.bin', path }];
  const { id } = await store.put({ reason: 'steps', states: new Map([['train', { state: { step }, files }]]) });
  process.stdout.write(`${id}\n`);
  await store.prune(3);
}
