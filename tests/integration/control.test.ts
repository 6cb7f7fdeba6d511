import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { fillTopic, metricsOf, recordsOf } from '../support/embedded-topics.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';

/* A job that is given graphs over HTTP and by records, dies, and goes on. */

const deploymentSchema = z.looseObject({ request: z.string(), outcome: z.string(), version: z.number().nullable() });
const listSchema = z.object({
  current: z.number(),
  graphs: z.array(z.looseObject({ by: z.string(), how: z.string() })),
});

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-asked-'));
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

test('graphs come over HTTP and by records, each once, and what became of them is told once, whatever dies', async () => {
  const graph = join(dataDir, 'graph.yaml');
  await writeFile(graph, graphOf(0.002));
  await fillTopic(dataDir, 'control', ['savepoint']);
  await texts();
  const first = new Millrace(['up', graph, '--data-dir', dataDir, '--json', '--http', '0']);
  const url = urlIn(await first.line((line) => line.startsWith('{"event":"listening"')));
  await first.line((line) => line.startsWith('{"event":"step"'));

  const headers = { 'content-type': 'application/yaml', 'if-match': '"1"' };
  const put = { method: 'PUT', body: graphOf(0.001), headers };
  const plan = await fetch(`${url}/graphs/plan`, { ...put, method: 'POST' });
  expect(await plan.json()).toMatchObject({ outcome: 'changes', refusals: [] });
  const deployed = await fetch(`${url}/graphs/current`, put);
  expect(await deployed.json()).toMatchObject({ outcome: 'live', version: 2 });
  const late = await fetch(`${url}/graphs/current`, put);
  expect([late.status, await late.json()]).toMatchObject([412, { error: { code: 'version-changed' } }]);
  const { current, graphs } = listSchema.parse(await (await fetch(`${url}/graphs`)).json());
  expect([current, graphs.map(({ how }) => how), graphs[1]?.by]).toEqual([2, ['up', 'deploy'], 'http 127.0.0.1']);

  await texts();
  const back = { command: 'rollback', id: 'back' };
  await ask(back, back, { command: 'savepoint', id: 'saved' }, { command: 'dance' });
  await told('saved');
  await texts();
  await ask({ command: 'deploy', id: 'last', graph: graphOf(0.0005) });
  await first.line((line) => line.includes('"outcome":"deployed","version":4'));
  first.kill('SIGKILL');
  await first.finished;

  const second = new Millrace(['up', '--data-dir', dataDir, '--json']);
  await second.line((line) => line.startsWith('{"event":"ready"'));
  await told('last');
  second.kill('SIGINT');
  const { code, stderr } = await second.finished;
  expect(code, stderr).toBe(0);

  const outcomes = (await deployments()).filter(({ request }) => !request.includes('-'));
  expect(outcomes.map(({ request, outcome, version }) => [request, outcome, version])).toEqual([
    ['back', 'live', 3],
    ['saved', 'saved', null],
    ['last', 'live', 4],
  ]);
  const letters = await recordsOf(dataDir, 'deadletters');
  expect(letters.map(({ headers: about }) => [about['topic'], about['code']])).toEqual([
    ['control', 'command-invalid'],
  ]);
  const steps = await metricsOf(dataDir);
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
  const history = await millrace(['graphs', '--data-dir', dataDir]);
  expect(history.stdout).toMatch(/\n4 \*.*control\/0\/5.*live/);
});

function graphOf(learningRate: number): string {
  return jobGraph({ name: 'asked', checkpointEvery: '60s', also: 'control: { topic: control }' })
    .replace('metrics: {}', 'metrics: {}, control: { format: json }')
    .replace('preset: nano', `preset: nano, learningRate: ${learningRate}`);
}

/** Enough that a graph which takes over has something to train. */
function texts(): Promise<void> {
  return fillTopic(
    dataDir,
    'text',
    Array.from({ length: 200 }, (_, index) => `document ${index} of the mill, ${index * 7919}. `.repeat(8)),
  );
}

function ask(...commands: readonly object[]): Promise<void> {
  return fillTopic(
    dataDir,
    'control',
    commands.map((command) => JSON.stringify(command)),
  );
}

async function deployments(): Promise<z.output<typeof deploymentSchema>[]> {
  const records = await recordsOf(dataDir, 'deployments');
  return records.map(({ value }) => deploymentSchema.parse(JSON.parse(String(value))));
}

async function requests(): Promise<string[]> {
  return (await deployments()).map((each) => each.request);
}

/** Resolves when the outcome of a request is told. */
async function told(request: string): Promise<void> {
  await expect.poll(requests, { timeout: 60_000, interval: 200 }).toContain(request);
}

function urlIn(line: string): string {
  return z.object({ url: z.string() }).parse(JSON.parse(line)).url;
}
