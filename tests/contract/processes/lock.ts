/** Locks a job, says how that went, and keeps the lock until it is killed. */
import { lockJob } from '../../../infra/index.ts';

const [directory = ''] = process.argv.slice(2);
setInterval(() => undefined, 60_000);
process.stdout.write(
  await lockJob(directory).then(
    () => 'locked\n',
    (error: unknown) => `${error instanceof Error ? error.message : String(error)}\n`,
  ),
);
