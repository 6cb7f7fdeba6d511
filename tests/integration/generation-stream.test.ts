import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEmbeddedLog } from '../../infra/index.ts';
import { readWeights, writeWeights } from '../../model/weights/weights-file.ts';
import type { LogRecord, TopicLog } from '../../operators/index.ts';
import { dataFolder } from '../../pipelines/job/job-folder.ts';
import type { JobEvent } from '../../pipelines/job/events.ts';
import { readPublished } from '../../pipelines/topics/published.ts';
import type { PublishedDelta } from '../../pipelines/topics/published.ts';
import { childOf } from '../support/child-of.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';

/* One job that trains and speaks, asked through its topic; the tests follow its life. */

const TEXT = 'The mill race leads a stream onto a wheel. '.repeat(40);
/** At most: three batches, and one that is not full. */
const STEPS_OF_TEXT = 4;
const ASKED = { prompt: 'The mill', maxTokens: 12, temperature: 0 };

let dataDir: string;
let log: TopicLog;
let run: Millrace;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-stream-'));
  const graph = join(dataDir, 'graph.yaml');
  await writeFile(graph, jobGraph({ name: 'stream', speaks: true }).replace('from: latest', 'from: earliest'));
  log = await openEmbeddedLog(dataFolder(dataDir).log);
  await log.createTopic('text');
  await log.createTopic('prompts');
  await ask('gone', ASKED);
  await ask('late', { ...ASKED, deadlineMs: 1 });
  await ask('long', { ...ASKED, prompt: 'x'.repeat(70_000) });
  for (const id of ['said', 'same']) await ask(id, ASKED);
  await log.produce('prompts', [{ key: 'gone', value: null }]);
  run = new Millrace(['up', graph, '--data-dir', dataDir, '--json']);
});

afterAll(async () => {
  run.kill('SIGKILL');
  await run.finished;
  await log.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function ask(id: string, fields: object): Promise<void> {
  await log.produce('prompts', [{ key: id, value: JSON.stringify({ ...fields, id }) }]);
}

function parsed(line: string): JobEvent {
  const event: JobEvent = JSON.parse(line);
  return event;
}

/** The first event of a kind that fits, past or to come. */
async function event<K extends JobEvent['event']>(
  kind: K,
  fits: (event: JobEvent & { readonly event: K }) => boolean = () => true,
): Promise<JobEvent & { readonly event: K }> {
  const isOne = (each: JobEvent): each is JobEvent & { readonly event: K } => each.event === kind;
  const isWanted = (each: JobEvent): boolean => isOne(each) && fits(each);
  const found = parsed(await run.line((line) => isWanted(parsed(line))));
  if (isOne(found)) return found;
  throw new Error(`This is no event "${kind}"`);
}

function answered(id: string): Promise<JobEvent & { readonly event: 'generation' }> {
  return event('generation', (each) => each.id === id);
}

async function partsOf(id: string): Promise<PublishedDelta[]> {
  const reports = (await readTopic(log, 'generations')).map(({ value }) => readPublished(value));
  return reports.filter((report) => report?.event === 'generation').filter((part) => part.id === id);
}

test('before there are weights, a prompt is taken back by a tombstone, and ends at its deadline', async () => {
  expect(await answered('gone')).toMatchObject({ text: '', finish: 'cancelled', weights: { id: '', step: 0 } });
  expect(await answered('late')).toMatchObject({ text: '', finish: 'deadline', usage: { completionTokens: 0 } });
  expect(await event('deadletter')).toMatchObject({ topic: 'prompts', offset: 2, code: 'prompt-oversized' });
  expect((await partsOf('gone')).map(({ index, finish }) => [index, finish])).toEqual([[0, 'cancelled']]);
});

test('each part says what its weights have seen, the last one what the answer took and how fresh it was', async () => {
  await log.produce('text', [{ value: TEXT }]);
  const [said, same] = [await answered('said'), await answered('same')];
  const parts = await partsOf('said');
  expect(parts.map(({ index }) => index)).toEqual(parts.map((_, at) => at));
  expect(parts.map(({ finish }) => finish)).toEqual([...parts.slice(1).map(() => null), 'length']);
  expect(parts.map(({ text }) => text).join('')).toBe(said.text);
  for (const { weights } of parts) expect(weights).toMatchObject({ id: /^\d{9}$/, seen: { 'text/0': 1 } });
  const promptTokens = 1 + ASKED.prompt.length;
  expect(parts.at(-1)?.usage).toEqual({ promptTokens, completionTokens: 12, cachedTokens: 0 });
  const { trainedMs, spokenMs } = parts.at(-1)?.freshness ?? { trainedMs: -1, spokenMs: -1 };
  expect(trainedMs).toBeGreaterThanOrEqual(0);
  expect(spokenMs).toBeGreaterThanOrEqual(trainedMs);
  expect(await event('freshness')).toMatchObject({ weights: { seen: { 'text/0': 1 } }, spokenMs: expect.any(Number) });
  // Read together with the one before it.
  expect(same).toMatchObject({ text: said.text, usage: { promptTokens, cachedTokens: promptTokens } });
});

test('weights that are not finite are refused, and the last good ones go on speaking', async () => {
  const sampler = await childOf(run.process.pid, 'sampler-main');
  process.kill(sampler, 'SIGSTOP');
  await log.produce('text', [{ value: TEXT }]);
  const { id, path } = await event('checkpoint', ({ step }) => step > STEPS_OF_TEXT);
  const file = join(path, 'weights.safetensors');
  const { config, weights } = readWeights(file);
  for (const values of weights.values()) values[0] = Number.NaN;
  writeWeights(file, { config, weights });
  process.kill(sampler, 'SIGCONT');
  expect(await event('weights')).toMatchObject({ outcome: 'refused', weights: { id }, code: 'weights-corrupt' });
  await ask('after', ASKED);
  const { finish, weights: spoke, text } = await answered('after');
  expect([finish, text.length > 0]).toEqual(['length', true]);
  expect(spoke.id).not.toBe(id);
});

test('any number of readers may begin anywhere, and read the same', async () => {
  const [{ end } = { end: 0 }] = await log.offsets('generations');
  const readFrom = async (offset: number): Promise<LogRecord[]> => {
    const reader = log.reader([{ topic: 'generations', partition: 0, offset }]);
    const records: LogRecord[] = [];
    while ((reader.positions()[0]?.offset ?? end) < end) records.push(...(await reader.poll({ waitMs: 1000 })));
    await reader.close();
    return records;
  };
  const [all = [], ...others] = await Promise.all([0, 0, 5, end - 1].map(readFrom));
  expect(all).toHaveLength(end);
  expect(others).toEqual([all, all.slice(5), all.slice(-1)]);
  run.kill('SIGINT');
  expect(await run.finished).toMatchObject({ code: 0 });
});
