import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openCheckpointStore } from '../../infra/index.ts';
import { createTrainer } from '../../model/trainer.ts';
import { positionsIn } from '../../operators/ingest-state.ts';
import { Packer } from '../../operators/packer.ts';
import { batchFromJson, trainStateSchema } from '../../operators/train-state.ts';
import { randomBatch, tinySettings } from './tiny-model.ts';

/**
 * One checkpoint of each format that was ever released, as the version of its time wrote it. Never made anew: a test that
 * fails here says that jobs and savepoints of people could not be gone on with.
 */
const FORMATS = fileURLToPath(new URL('../fixtures/checkpoints/', import.meta.url));
const logger = { info: (): void => {}, warn: (): void => {} };

test.each(readdirSync(FORMATS))('a savepoint of %s is gone on with to the same next step', async (format) => {
  const store = await openCheckpointStore(`${FORMATS}${format}`, { jobId: 'frozen', logger, describe: {} });
  const cut = await store.latest();
  expect(cut).toMatchObject({ id: '000000001-savepoint', reason: 'savepoint' });
  const stateOf = (uid: string): Parameters<typeof positionsIn>[1] => cut?.states.get(uid) ?? { state: null };

  expect(positionsIn('text', stateOf('text'))).toEqual([{ topic: 'text', partition: 0, offset: 5 }]);
  expect(stateOf('metrics').state).toEqual({ published: 3 });
  const packer = Packer.restored({ rows: 2, context: 8, endOfText: 16 }, stateOf('pack').state);
  expect(packer.snapshot()).toEqual(stateOf('pack').state);

  const { trainer: state, waiting, step } = trainStateSchema.parse(stateOf('train').state);
  expect(step).toBe(3);
  const files = Object.fromEntries((stateOf('train').files ?? []).map(({ name, path }) => [name, path]));
  const trainer = createTrainer(tinySettings);
  trainer.restore({ state, files });
  const [batch] = waiting.map(batchFromJson);
  expect(batch?.ids).toEqual(randomBatch(4).ids);
  const next = trainer.step(batch ?? randomBatch(0));
  trainer.dispose();
  expect(next).toMatchObject({ step: 4, tokens: 16, lr: 0.02, skipped: false, fault: null });
  expect(next.loss).toBeCloseTo(3.155278, 4);
  expect(next.gradNorm).toBeCloseTo(1.942728, 4);
});
