import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { readWeights } from '../../model/index.ts';
import { readSafetensors } from '../../model/weights/safetensors.ts';
import { jobGraph } from '../support/job-graph.ts';
import { millrace } from '../support/millrace.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-interchange-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const stepSchema = z.looseObject({ event: z.literal('step'), step: z.number(), loss: z.number() });
const exportedSchema = z.object({ architecture: z.string(), parameters: z.number(), checkpoint: z.string() });
const TEXT = 'the mill turns the wheel. the wheel grinds the corn. the corn feeds the town. '.repeat(400);
const ENGINE = ['--engine', 'f32,no-xla'];

test('a model goes out as a folder, comes in elsewhere, and goes on learning', async () => {
  const [first, second, model] = [join(folder, 'first'), join(folder, 'second'), join(folder, 'model')];
  const graph = join(folder, 'graph.yaml');
  await writeFile(graph, jobGraph({ name: 'mine' }));
  const begun = await train(first, [graph], 30);

  const out = ['export', '--to', model, '--data-dir', first];
  const { code, stdout, stderr } = await millrace([...out, '--json']);
  expect(code, stderr).toBe(0);
  const exported = exportedSchema.parse(JSON.parse(stdout));
  expect(exported.architecture).toBe('Qwen3ForCausalLM');
  const saved = readWeights(join(exported.checkpoint, 'weights.safetensors'));
  expect(
    new Map([...readSafetensors(join(model, 'model.safetensors')).tensors].map(([name, { data }]) => [name, data])),
  ).toEqual(new Map([...saved.weights].toSorted(([a], [b]) => (a < b ? -1 : 1))));
  expect(await millrace(out)).toMatchObject({ code: 2, stderr: expect.stringMatching(/is there already/) });
  expect((await millrace([...out, '--force', '--dtype', 'f16', exported.checkpoint])).code).toBe(0);
  expect(await readFile(join(model, 'config.json'), 'utf8')).toContain('float16');
  expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);

  const taken = await millrace(['import', model, '--data-dir', second, '--name', 'taken']);
  expect({ code: taken.code, stderr: taken.stderr }).toEqual({ code: 0, stderr: '' });
  expect(await millrace(['import', model, '--data-dir', second])).toMatchObject({ code: 2 });
  // The job has all that it needs.
  await rm(model, { recursive: true });
  const goneOn = await train(second, [], 4);
  expect(goneOn.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
  expect(goneOn[0]?.loss).toBeLessThan((begun[0]?.loss ?? 0) / 2);
});

async function train(dataDir: string, graph: readonly string[], steps: number): Promise<z.output<typeof stepSchema>[]> {
  await millrace(['produce', 'text', '-', '--data-dir', dataDir], TEXT);
  const args = ['up', ...graph, '--data-dir', dataDir, '--json', '--max-steps', String(steps), ...ENGINE];
  const { code, stdout, stderr } = await millrace(args);
  expect(code, stderr).toBe(0);
  return stdout
    .split('\n')
    .map((line) => stepSchema.safeParse(JSON.parse(line)))
    .flatMap(({ data }) => (data ? [data] : []));
}
