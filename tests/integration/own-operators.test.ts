import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillTopic, metricsOf } from '../support/embedded-topics.ts';
import { Millrace, millrace } from '../support/millrace.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/drop-duplicates/', import.meta.url));
const MODULE = 'drop-duplicates.ts';

let folder: string;
let graph: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-own-'));
  graph = join(folder, 'graph.yaml');
  const text = await readFile(join(EXAMPLE, 'graph.yaml'), 'utf8');
  await writeFile(
    graph,
    text.replace('every: 60s', 'every: 1s').replace('topics: [text]', 'topics: [text], window: 8KB'),
  );
  await copyFile(join(EXAMPLE, MODULE), join(folder, MODULE));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Each text three times; the second and third are behind others. */
const TEXTS = Array.from({ length: 168 }, (_, index) => {
  const number = Math.floor(index / 12) * 4 + (index % 4);
  return `document ${number} of the mill, ${number * 7919}. `.repeat(14);
});

test('the example of README drops duplicates once and for all, also when it is killed, by the code that the job took', async () => {
  const [calm, killed] = [join(folder, 'calm'), join(folder, 'killed')];
  await Promise.all([fillTopic(calm, 'text', TEXTS), fillTopic(killed, 'text', TEXTS)]);
  const whole = await millrace(['up', graph, '--data-dir', calm, '--until-idle', '2s']);
  expect(whole.code, whole.stderr).toBe(0);
  const steps = await metricsOf(calm);
  const trained = steps.flatMap(({ spans }) => spans).flatMap(({ from, to }) => TEXTS.slice(from, to));
  const again = trained.filter((text, at) => text !== trained[at - 1] && trained.indexOf(text) < at);
  expect(again).toEqual([]);
  expect(new Set(trained).size).toBeGreaterThan(40);

  const job = new Millrace(['up', graph, '--data-dir', killed, '--json']);
  await job.line((line) => line.includes('"event":"checkpoint"') && !line.includes('"step":1,'));
  job.kill('SIGKILL');
  await job.finished;
  // What the file says from now on is not what the job has.
  await writeFile(join(folder, MODULE), 'export const nothing = 1;\n');
  const last = await millrace(['up', '--data-dir', killed, '--until-idle', '2s']);
  expect(last.code, last.stderr).toBe(0);
  expect(last.stderr).toContain(`${MODULE} has changed since the job took it`);
  expect(await metricsOf(killed)).toEqual(steps);
});

test('a running job takes new code at one cut, refuses what can not be used, and goes back to the code of a version', async () => {
  const dataDir = join(folder, 'live');
  await fillTopic(dataDir, 'text', TEXTS);
  const source = await readFile(join(EXAMPLE, MODULE), 'utf8');
  const say = (text: string): Promise<void> => writeFile(join(folder, MODULE), text);
  await say(source);
  const at = ['--data-dir', dataDir];
  const job = new Millrace(['up', graph, ...at, '--json']);
  await job.line((line) => line.includes('"step":3,'));

  await say(source.replace('add(digest);', 'add(digest;'));
  const broken = await millrace(['deploy', graph, '--yes', ...at]);
  expect(broken.code).toBe(1);
  expect(broken.stderr).toMatch(/operators-invalid at operators\[0\]: drop-duplicates\.ts:\d+:\d+: Expected "\)"/);

  await say(source.replace('digests.has(digest)', "document.text.startsWith('new ') || digests.has(digest)"));
  const deployed = await millrace(['deploy', graph, '--yes', ...at]);
  expect(deployed.stdout).toMatch(/fresh +dropDuplicates +reconfigured +kept +Its code changed/);
  expect(deployed.stdout, deployed.stderr).toContain('Version 2 is live');

  // The code of a version is in the job's history.
  await rm(join(folder, MODULE));
  const back = await millrace(['rollback', '--yes', ...at]);
  expect(back.stdout, back.stderr).toContain('Version 3 is live');
  job.kill('SIGINT');
  expect((await job.finished).code).toBe(0);
  const steps = await metricsOf(dataDir);
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
});
