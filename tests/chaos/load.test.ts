import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { jobGraph } from '../support/job-graph.ts';
import { load } from '../support/load.ts';
import { Millrace, millrace } from '../support/millrace.ts';

/** As many as are let in. */
const AT_ONCE = 64;
/** `MILLRACE_SOAK=1` asks for as long as an afternoon allows. */
const [SOAK_MS, TOKENS] = process.env['MILLRACE_SOAK'] ? [60_000, 32] : [0, 8];
const END_OF_TEXT = 256;

const listeningSchema = z.looseObject({ url: z.string(), model: z.string() });
const stepSchema = z.looseObject({ event: z.string(), step: z.number().optional() });

test(`${AT_ONCE} requests at once, while the model trains, get each one whole answer`, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-load-'));
  const graph = join(dataDir, 'graph.yaml');
  await writeFile(graph, jobGraph({ name: 'loaded', also: 'sampler: { share: 0.9 }' }));
  const text = Array.from({ length: 2000 }, (_, at) => `The ${at}th word of the Union. `.repeat(40)).join('\n');
  await millrace(['produce', 'text', '-', '--data-dir', dataDir], text);
  const run = new Millrace(['up', graph, '--data-dir', dataDir, '--json', '--http', '0']);
  try {
    const { url, model } = listeningSchema.parse(
      JSON.parse(await run.line((line) => line.startsWith('{"event":"listening"'))),
    );
    await run.line((line) => line.startsWith('{"event":"checkpoint"'));

    const endMs = performance.now() + SOAK_MS;
    const goesOn = (asked: number): boolean => asked < AT_ONCE + 16 || performance.now() < endMs;
    const { answers, failures } = await load({
      url,
      model,
      atOnce: AT_ONCE,
      tokens: TOKENS,
      endOfText: END_OF_TEXT,
      goesOn,
    });
    expect(failures).toEqual([]);
    expect(answers.length).toBeGreaterThanOrEqual(AT_ONCE + 16);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(answers.length);
  } finally {
    run.kill('SIGINT');
  }
  const { code, stdout, stderr } = await run.finished;
  expect(code, stderr).toBe(0);
  const steps = stdout
    .split('\n')
    .map((line) => stepSchema.parse(JSON.parse(line)))
    .flatMap(({ event, step = 0 }) => (event === 'step' ? [step] : []));
  expect(steps).toEqual(steps.map((_, at) => at + 1));
  expect(stdout).not.toContain('"outcome":"restarted"');
  await rm(dataDir, { recursive: true, force: true });
}, 180_000);
