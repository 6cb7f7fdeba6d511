import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCheckpointStore } from '../../../infra/index.ts';
import { parameterShapes, presets, readWeights, writeWeights } from '../../../model/index.ts';
import type { ModelConfig } from '../../../model/index.ts';
import { pickWeights, savedModel } from '../../../pipelines/evaluation/saved-weights.ts';
import { dataFolder, startJob } from '../../../pipelines/job/job-folder.ts';

const config: ModelConfig = {
  ...presets.nano.model,
  vocabSize: 8,
  hiddenSize: 4,
  layers: 1,
  heads: 1,
  kvHeads: 1,
  headDim: 4,
};
const logger = { info: (): void => {}, warn: (): void => {} };

let folder: string;
let paths: string[];

/** Checkpoints of steps 10, 20, 20 and 30, whose weights are all of that number; the last two have a running mean, a half less. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-saved-'));
  const job = startJob(dataFolder(folder), 'embedded');
  const store = await openCheckpointStore(job.checkpoints, { jobId: job.id, logger, describe: {} });
  const staging = join(folder, 'staging');
  await mkdir(staging);
  paths = [];
  for (const [at, step] of [10, 20, 20, 30].entries()) {
    const files = at < 2 ? ['weights'] : ['weights', 'ema'];
    for (const name of files) {
      const value = name === 'ema' ? step - 0.5 : step;
      const weights = [...parameterShapes(config)].map(([tensor, shape]): [string, Float32Array] => {
        return [tensor, new Float32Array(shape.reduce((size, each) => size * each, 1)).fill(value)];
      });
      writeWeights(join(staging, `${name}.safetensors`), { config, weights: new Map(weights) });
    }
    const snapshot = {
      state: { step, totals: { tokens: 1, bytes: 1, bits: 1 } },
      files: files.map((name) => ({ name: `${name}.safetensors`, path: join(staging, `${name}.safetensors`) })),
    };
    paths.push((await store.put({ reason: 'timer', states: new Map([['train', snapshot]]) })).path);
  }
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The number that all of the weights are. */
function valueIn(path: string): number | undefined {
  const values = new Set([...readWeights(path).weights.values()].flatMap((each) => Array.from(each)));
  expect(values.size).toBe(1);
  return [...values][0];
}

test('a checkpoint is found by nothing, number, id or folder', async () => {
  const named = async (name?: string): Promise<string> => (await savedModel(folder, name, logger)).checkpoint.id;
  expect(await named()).toBe('000000004');
  expect(await named('2')).toBe('000000002');
  expect(await named('000000001')).toBe('000000001');
  expect(await named(paths[2])).toBe('000000003');
  await expect(named('9')).rejects.toMatchObject({
    code: 'bad-usage',
    message: expect.stringContaining('no checkpoint 9'),
  });
  await appendFile(join(paths[3] ?? '', 'weights.safetensors'), 'damage');
  expect(await named()).toBe('000000003');
  await expect(savedModel(join(folder, 'none'), undefined, logger)).rejects.toMatchObject({ code: 'bad-usage' });
});

test('weights of one checkpoint are its file: of the last step, the running mean, or what speaks', async () => {
  const graph = { model: { preset: 'nano', seed: 1, accumulate: 1, engine: 'auto', ema: 0.9 } } as const;
  const pick = (path: string | undefined, which: 'last' | 'ema' | 'spoken'): ReturnType<typeof pickWeights> =>
    pickWeights({ checkpoint: { path: path ?? '' }, graph }, which, 1);
  expect(valueIn((await pick(paths[3], 'last')).path)).toBe(30);
  expect(valueIn((await pick(paths[3], 'ema')).path)).toBe(29.5);
  expect(await pick(paths[3], 'spoken')).toMatchObject({ which: 'ema', of: ['000000004'] });
  expect(await pick(paths[0], 'spoken')).toMatchObject({ which: 'last' });
  await expect(pick(paths[0], 'ema')).rejects.toThrow('000000001 has no running mean');
});

test('weights of several are their mean, of different steps, in a file that goes again', async () => {
  const merged = async (at: number, which: 'last' | 'ema', count: number): ReturnType<typeof pickWeights> =>
    pickWeights({ checkpoint: { path: paths[at] ?? '' }, graph: null }, which, count);
  const picked = await merged(3, 'last', 3);
  expect(picked.of).toEqual(['000000001', '000000003', '000000004']);
  expect(valueIn(picked.path)).toBe(20);
  await picked.dispose();
  expect(existsSync(picked.path)).toBe(false);
  expect(paths.map((path) => existsSync(path))).toEqual([true, true, true, true]);
  const means = await merged(3, 'ema', 2);
  expect(valueIn(means.path)).toBe(24.5);
  await means.dispose();
  await expect(merged(3, 'last', 4)).rejects.toThrow('are of 3 steps');
  await expect(merged(3, 'ema', 3)).rejects.toThrow(`${basename(paths[0] ?? '')} has no running mean`);
});
