/** Starts a trainer and a sampler, prints their pids, and stays until it is killed. */
import { startSampler, startTrainer } from '../../../infra/index.ts';
import { presets } from '../../../model/presets.ts';

const [stagingDir = ''] = process.argv.slice(2);
const logger = { info: () => undefined, warn: () => undefined };
const { model, optimizer, schedule } = presets.nano;
const trainer = await startTrainer({
  settings: { model, optimizer, schedule, seed: 1, accumulate: 1 },
  stagingDir,
  logger,
});
const sampler = await startSampler({ logger });
process.stdout.write(`${trainer.pid} ${sampler.pid}\n`);
setInterval(() => undefined, 60_000);
