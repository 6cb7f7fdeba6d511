import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { openEmbeddedLog } from '../../infra/index.ts';
import { dataFolder } from '../../pipelines/job/job-folder.ts';
import { eventsOf } from '../support/events.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';

/* A job whose checkpoints are examined while it trains; its last one is examined by hand, and released. */

const evaluationSchema = z.object({
  by: z.string(),
  weights: z.object({ id: z.string(), step: z.number(), which: z.string(), merged: z.array(z.string()) }),
  texts: z.array(z.object({ name: z.string(), tokens: z.number(), bitsPerByte: z.number() })),
  choices: z.array(z.object({ name: z.string(), items: z.number(), accuracyPerByte: z.number() })),
});
type Evaluation = z.output<typeof evaluationSchema>;

const releaseSchema = z.object({ path: z.string(), step: z.number(), steps: z.number(), tokens: z.number() });

/** Documents that no other range of numbers has. */
function documents(from: number): string[] {
  return Array.from({ length: 120 }, (_, at) => `document ${from + at} of the mill, ${(from + at) * 7919}. `.repeat(5));
}

test('is examined on its cadence and by command, and released to the bit', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-evaluate-'));
  const heldOut = join(dataDir, 'held-out.txt');
  const run = (...args: string[]): ReturnType<typeof millrace> => millrace([...args, '--data-dir', dataDir]);
  try {
    await writeFile(heldOut, documents(1_000_000).slice(0, 3).join('\n'));
    const exam = `    - { uid: exam, evaluate: { everySteps: 8, heldOut: { file: ${heldOut} } } }\n    - { uid: metrics`;
    const graph = jobGraph({ name: 'examined', checkpointEvery: '1h' })
      .replace('preset: nano', 'preset: nano, engine: eager, ema: 0.9')
      .replace('    - { uid: metrics', exam);
    await writeFile(join(dataDir, 'graph.yaml'), graph);
    const log = await openEmbeddedLog(dataFolder(dataDir).log);
    await log.createTopic('text');
    await log.produce(
      'text',
      documents(0).map((value) => ({ value })),
    );
    await log.close();

    // Beside the training, each checkpoint that is due once.
    const job = new Millrace(['up', join(dataDir, 'graph.yaml'), '--data-dir', dataDir, '--json']);
    await job.line((line) => line.startsWith('{"event":"evaluation"'));
    job.kill('SIGINT');
    const ended = await job.finished;
    expect(ended.code, ended.stderr).toBe(0);
    const told = eventsOf(job, 'evaluation');
    expect(told[0]).toMatchObject({ by: 'graph', weights: { which: 'ema' }, texts: [{ name: heldOut }] });

    // The same checkpoint in the same windows by command, on as many threads as there are.
    const { id = '', step } = told[0]?.weights ?? {};
    const window = told[0]?.window ?? 0;
    const byHand = await evaluated(run('eval', id, '--text', heldOut, '--stride', String(window - 1), '--json'));
    expect(byHand.weights).toEqual({ id, step, which: 'ema', merged: [id] });
    expect(byHand.texts[0]?.bitsPerByte).toBeCloseTo(told[0]?.texts[0]?.bitsPerByte ?? NaN, 4);

    // Released twice, which leaves the job as it was.
    const before = await files(dataDir);
    const outs = [join(dataDir, 'one'), join(dataDir, 'two')];
    const releases = await Promise.all(
      outs.map((out) => run('anneal', '--steps', '6', '--merge', '2', '--out', out, '--json')),
    );
    const [one, two] = releases.map(({ stdout, stderr }) => {
      const lines = stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => z.looseObject({}).parse(JSON.parse(line)));
      const rates = lines.flatMap(({ lr }) => (typeof lr === 'number' ? [lr] : []));
      expect(rates, stderr).toHaveLength(6);
      expect(rates.toSorted((a, b) => b - a)).toEqual(rates);
      expect(rates.at(-1)).toBe(0);
      return releaseSchema.parse(lines.at(-1));
    });
    expect(one).toMatchObject({ steps: 6, tokens: 6 * 8 * 64 });
    expect(await weightsHash(one?.path)).toBe(await weightsHash(two?.path));
    expect(await files(dataDir)).toEqual(before);
    const release = await evaluated(run('eval', one?.path ?? '', '--cloze', 'shipped', '--json', '--no-record'));
    expect(release.weights).toMatchObject({ id: '000000001-savepoint', step: one?.step });
    expect(release.choices).toMatchObject([{ name: 'shipped', items: 3 }]);

    const records = await evaluations(dataDir);
    const ids = records.filter(({ by }) => by === 'graph').map(({ weights }) => weights.id);
    expect(ids).toEqual(told.map(({ weights }) => weights.id));
    expect(new Set(ids).size).toBe(ids.length);
    expect(records.at(-1)).toMatchObject({ by: 'command', weights: { id } });
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

async function evaluated(command: ReturnType<typeof millrace>): Promise<Evaluation> {
  const { code, stdout, stderr } = await command;
  expect(code, stderr).toBe(0);
  return z
    .object({ ...evaluationSchema.shape, texts: evaluationSchema.shape.texts.default([]) })
    .parse(JSON.parse(stdout));
}

async function evaluations(dataDir: string): Promise<readonly Evaluation[]> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  const records = await readTopic(log, 'evaluations');
  await log.close();
  return records.map(({ value }) => evaluationSchema.parse(JSON.parse(Buffer.from(value ?? []).toString())));
}

/** Names of all files of the jobs. */
async function files(dataDir: string): Promise<readonly string[]> {
  return (await readdir(dataFolder(dataDir).jobs, { recursive: true })).toSorted();
}

async function weightsHash(release: string | undefined): Promise<string> {
  const weights = await readFile(join(release ?? '', 'weights.safetensors'));
  return createHash('sha256').update(weights).digest('hex');
}
