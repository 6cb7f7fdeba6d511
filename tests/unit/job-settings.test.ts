import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EngineSettings } from '../../model/settings.ts';
import { createTopics } from '../../pipelines/job/create-topics.ts';
import { engineOfCheckpoints, settleEngine } from '../../pipelines/job/job-engine.ts';
import { dataFolder, startJob } from '../../pipelines/job/job-folder.ts';
import type { JobFolder } from '../../pipelines/job/job-folder.ts';
import { readJobRecord, warnOfIgnored, writeJobRecord } from '../../pipelines/job/job-record.ts';
import { openCheckpointStore } from '../../infra/index.ts';
import { lintGraph } from '../../pipelines/index.ts';
import type { Graph } from '../../pipelines/spec/graph.ts';
import { spokenWeights } from '../../pipelines/job/spoken-weights.ts';
import { MemoryLog } from '../support/memory-log.ts';

const fast: EngineSettings = { mode: 'compiled', precision: 'bf16', xla: true, threads: 3 };
const plain: EngineSettings = { mode: 'compiled', precision: 'f32', xla: false, threads: 1 };
const eager: EngineSettings = { mode: 'eager' };

let folder: string;
let job: JobFolder;
let warnings: string[];
const onWarning = (message: string): void => void warnings.push(message);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-settings-'));
  job = startJob(dataFolder(folder), 'embedded');
  warnings = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function settle(wanted: EngineSettings | 'auto', used: EngineSettings | null): Promise<EngineSettings> {
  return settleEngine({ wanted, used, choose: async () => fast, onWarning, environment: {} });
}

describe('the engine of a job', () => {
  test('is chosen for a new job, and stays what it was for one that goes on', async () => {
    expect(await settle('auto', null)).toEqual(fast);
    expect(await settle('auto', plain)).toEqual(plain);
    expect(await settle('auto', eager)).toEqual(eager);
    expect(warnings).toEqual([]);
  });

  test('is that of the graph where it names one, with a warning where that changes the bits', async () => {
    expect(await settle(plain, null)).toEqual(plain);
    expect(await settle(plain, plain)).toEqual(plain);
    expect(warnings).toEqual([]);
    expect(await settle(eager, plain)).toEqual(eager);
    expect(await settle(plain, fast)).toEqual(plain);
    expect(warnings).toHaveLength(2);
    expect(warnings[1]).toMatch(/compiled, f32, without XLA, 1 thread\).*compiled, bf16, with XLA, 3 threads/);
  });

  test('names its threads: those of before, else as many as there are processors', async () => {
    const open: EngineSettings = { mode: 'compiled', precision: 'bf16', xla: true };
    expect(await settle(open, fast)).toEqual(fast);
    expect(await settle(open, null)).toEqual({ ...open, threads: availableParallelism() });
    expect(await settle('auto', open)).toEqual({ ...open, threads: availableParallelism() });
    expect(warnings).toEqual([]);
  });

  test('is not heeded where the environment has threads of its own, which is said', async () => {
    const environment = { TF_NUM_INTRAOP_THREADS: '7', TF_NUM_INTEROP_THREADS: '3' };
    await settleEngine({ wanted: 'auto', used: fast, choose: async () => plain, onWarning, environment });
    expect(warnings).toEqual([expect.stringContaining('TF_NUM_INTRAOP_THREADS=7')]);
  });

  test('is read from the newest checkpoint that tells', async () => {
    expect(await engineOfCheckpoints(job)).toBeNull();
    const logger = { info: () => undefined, warn: () => undefined };
    for (const engine of [eager, fast, { mode: 'of the future' }]) {
      const store = await openCheckpointStore(job.checkpoints, { jobId: job.id, logger, describe: { engine } });
      await store.put({ reason: 'timer', states: new Map() });
    }
    await writeFile(join(job.checkpoints, '000000003', 'manifest.json'), 'damaged');
    expect(await engineOfCheckpoints(job)).toEqual(fast);
  });
});

describe('the record of a job', () => {
  const record = { seed: 5, tokenizer: { kind: 'bpe', sample: '2MB' }, engine: fast } as const;

  test('comes back as it was written, and is refused when it is damaged', async () => {
    expect(await readJobRecord(job)).toBeNull();
    await writeJobRecord(job, { ...record, seed: 4 });
    await writeJobRecord(job, record);
    expect(await readJobRecord(job)).toEqual(record);
    await writeFile(job.record, '{"seed": 1}');
    await expect(readJobRecord(job)).rejects.toMatchObject({ code: 'state-invalid' });
  });

  test('shows what a changed graph says in vain', () => {
    const graph = graphWith('model: { seed: 5 }');
    warnOfIgnored(record, graph, onWarning);
    expect(warnings).toEqual([]);
    warnOfIgnored(record, graphWith('tokenizer: { kind: bpe, sample: 3MB }'), onWarning);
    expect(warnings).toEqual([
      expect.stringMatching(/^model\.seed is 1, .* made with 5.*--fresh/),
      expect.stringMatching(/^tokenizer is bpe, sample 3MB, .* began with bpe, sample 2MB .*--fresh/),
    ]);
  });
});

test('the running mean of the weights speaks where there is one, unless the last weights are wanted', async () => {
  const [mean, last] = [join(folder, 'ema.safetensors'), join(folder, 'weights.safetensors')];
  expect(spokenWeights(folder, { ema: 0.9 })).toBe(last);
  await writeFile(mean, '');
  expect(spokenWeights(folder, { ema: 0.9 })).toBe(mean);
  expect(spokenWeights(folder, { ema: 0.9, speak: 'last' })).toBe(last);
  expect(spokenWeights(folder, {})).toBe(last);
  expect(graphWith('model: { ema: 0.999, speak: ema }').model).toMatchObject({ ema: 0.999, speak: 'ema' });
  expect(() => graphWith('model: { speak: ema }')).toThrow(/model\.speak.*needs a running mean/);
});

test('a topic that is there with another retention is pointed out, one that fits or is not spoken of is not', async () => {
  const log = new MemoryLog();
  await log.createTopic('kept', { retentionBytes: 1_048_576 });
  await log.createTopic('whole');
  const topics = 'kept: { retentionBytes: 1MB }, whole: {}, fresh: { retentionTime: 60s }';
  await createTopics(log, graphWith(`topics: { text: {}, ${topics} }`), onWarning);
  expect(warnings).toEqual([]);
  await createTopics(log, graphWith(`topics: { text: {}, whole: { retentionTime: 60s } }`), onWarning);
  expect(warnings).toEqual([expect.stringMatching(/^Topic whole keeps .*\(all records\).*\(60 s\)/)]);
});

function graphWith(line: string): Graph {
  const text = [
    'name: settings',
    line,
    ...(line.startsWith('topics') ? [] : ['topics: { text: {} }']),
    'streams:',
    '  learn:',
    '    - { uid: text, ingest: { topics: [text] } }',
    '    - { uid: decode, decode: {} }',
    '    - { uid: tokenize, tokenize: {} }',
    '    - { uid: pack, batch: {} }',
    '    - { uid: train, trainStep: {} }',
    '    - { uid: checkpoint, checkpoint: {} }',
  ].join('\n');
  const { graph, findings } = lintGraph(text);
  if (!graph) throw new Error(JSON.stringify(findings));
  return graph;
}
