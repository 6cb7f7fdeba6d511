import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { askControl, openEmbeddedLog } from '../../infra/index.ts';
import type { LogRecord } from '../../operators/index.ts';
import type { PromotionEvent } from '../../pipelines/job/events.ts';
import { dataFolder } from '../../pipelines/job/job-folder.ts';
import { eventsOf } from '../support/events.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

/* A job that promotes, refuses, falls back and is killed, and those who are told of it. */

const SECRET = 'known to both sides';
const env = { HOOK_SECRET: SECRET };
const NEVER = 1_000_000;

let dataDir: string;
let receiver: WebhookReceiver;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-promotion-'));
  receiver = await WebhookReceiver.open(SECRET, [500, 204, 410]);
  await writeFile(join(dataDir, 'held-out.txt'), documents(NEVER, 5).join('\n'));
  await writeFile(join(dataDir, 'graph.yaml'), graph());
  // Nothing is learnt at such a rate; what was is lost.
  await writeFile(join(dataDir, 'hot.yaml'), graph().replace('preset: nano', 'preset: nano, learningRate: 3'));
});

afterEach(async () => {
  await receiver.close();
  await rm(dataDir, { recursive: true, force: true });
});

function graph(): string {
  const promote = `promote:
  heldOut: { file: ${join(dataDir, 'held-out.txt')}, bytes: 2KB }
  fallBackAfter: 2
  webhook: { url: "${receiver.url}", secret: { env: HOOK_SECRET }, backoff: 10ms }
`;
  return jobGraph({ name: 'promoting', speaks: true, also: promote, checkpointEvery: '1h' });
}

const answerSchema = z.object({ system_fingerprint: z.string().optional() });
const decidedSchema = z.object({ snapshot: z.object({ id: z.string() }), champion: z.object({ id: z.string() }) });
const modelsSchema = z.object({
  id: z.string(),
  step: z.number(),
  isChampion: z.boolean(),
  verdict: z.string().nullable(),
});
const recordSchema = z.object({
  answers: z.array(z.object({ prompt: z.string() })),
  sequence: z.number(),
  verdict: z.string(),
  by: z.string(),
  snapshot: z.object({ id: z.string() }),
});

test('promotes what is better, refuses what is worse, falls back, and tells of each decision once', async () => {
  const up = ['up', '--data-dir', dataDir, '--json', '--http', '0'];
  await produce(40);
  const job = new Millrace([...up, join(dataDir, 'graph.yaml')], { env });
  expect(await decided(job, 1)).toMatchObject({ verdict: 'promoted', by: 'rule' });

  // Learnt something: better.
  await stepsMore(job, 10);
  const better = await savepoint();
  expect(await decided(job, 2)).toMatchObject({ verdict: 'promoted', snapshot: { id: better } });

  // Spoilt: worse, and the champion goes on speaking.
  const deployed = await command('deploy', join(dataDir, 'hot.yaml'), '--yes');
  expect(deployed.code, deployed.stderr).toBe(0);
  const { id: good = '' } = (await decided(job, 3)).champion ?? {};
  await stepsMore(job, 10);
  const worse = await savepoint();
  const refused = await decided(job, 4);
  expect(refused).toMatchObject({ verdict: 'refused', snapshot: { id: worse }, champion: { id: good } });
  expect(refused.reasons[0]).toContain('bits per byte, after');
  const listed = await models();
  expect(listed).toMatchObject({ [good]: { isChampion: true }, [worse]: { verdict: 'refused', isChampion: false } });
  await speaks(job, good);

  // By hand it speaks all the same, until two results in a row were worse.
  const byHand = await command('promote', worse);
  expect(byHand.stdout, byHand.stderr).toContain('speaks now');
  await speaks(job, worse);
  await savepoint();
  await decided(job, 6);
  await savepoint();
  expect(await decided(job, 8)).toMatchObject({ verdict: 'refused', champion: { id: good } });
  const since = eventsOf(job, 'promotion').slice(4);
  const course = ['promoted hand', 'refused rule', 'demoted rule', 'refused rule'];
  expect(since.map(({ verdict, by }) => `${verdict} ${by}`)).toEqual(course);
  await speaks(job, good);
  expect((await command('savepoint', 'drop', good)).stderr).toContain('Promote another first');

  job.kill('SIGKILL');
  await job.finished;
  const { stdout, stderr } = await command('demote', '--json');
  const { snapshot, champion } = decidedSchema.parse(JSON.parse(stdout), { error: () => stderr });
  expect(snapshot.id).toBe(good);
  const again = new Millrace(up, { env });
  await speaks(again, champion.id);
  again.kill('SIGINT');
  const ended = await again.finished;
  expect(ended.code, ended.stderr).toBe(0);

  const replayed = await command('deadletters', 'replay', '--all');
  expect(replayed.stderr).toContain('meant for a webhook');
  const { records, letters } = await kept();
  const decisions = records.map((record) => recordSchema.parse(JSON.parse(record)));
  expect(decisions.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  const ruled = decisions.filter(({ by, verdict }) => by === 'rule' && verdict !== 'demoted');
  const ids = ruled.map((each) => each.snapshot.id);
  expect([...new Set(ids)].toSorted()).toEqual(ids);
  expect(decisions.at(-1)).toMatchObject({ by: 'hand', verdict: 'demoted', snapshot: { id: good } });

  // Whoever asked over HTTP meanwhile, the candidates have answered too.
  expect(decisions.findLast(({ verdict }) => verdict === 'refused')?.answers[0]).toMatchObject({ prompt: 'the' });

  // The first was taken at the second try; the second is refused for good, so it is a dead letter.
  const [first = '', second = ''] = records;
  expect(receiver.received.every(({ isSigned }) => isSigned)).toBe(true);
  expect(receiver.received.map(({ body }) => body)).toEqual([first, ...records]);
  expect(letters).toEqual([['webhook-failed', second]]);
});

test('what promotion needs is said before anything is trained', async () => {
  const up = ['up', join(dataDir, 'graph.yaml'), '--data-dir', dataDir];
  const secretless = await millrace(up);
  expect(secretless).toMatchObject({ code: 1, stderr: expect.stringContaining('HOOK_SECRET') });
  await rm(join(dataDir, 'held-out.txt'));
  const run = new Millrace(up, { env });
  const textless = await run.finished;
  expect(textless).toMatchObject({ code: 1, stderr: expect.stringContaining('promote.heldOut') });
  const nobody = await command('demote');
  expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining('No snapshot has been promoted yet') });
});

/** Documents that no other range of numbers has. */
function documents(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) =>
    `document ${from + at} of the mill, ${(from + at) * 7919}. `.repeat(7),
  );
}

let produced = 0;

async function produce(count: number): Promise<void> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  await log.createTopic('text');
  await log.produce(
    'text',
    documents(produced, count).map((value) => ({ value })),
  );
  await log.close();
  produced += count;
}

/** Lets the job take so many steps from now on, at least. */
async function stepsMore(job: Millrace, count: number): Promise<void> {
  const last = eventsOf(job, 'step').at(-1)?.step ?? 0;
  await produce(4 * count);
  await job.line((line) => line.includes(`"event":"step","step":${last + count},`));
}

/** Asks the job itself, which is quicker than by a command. */
async function savepoint(): Promise<string> {
  const asked = await askControl(dataDir, 'savepoint', null);
  return z.object({ id: z.string() }).parse(asked?.output).id;
}

/** The n-th decision that the job tells of. */
async function decided(job: Millrace, n: number): Promise<PromotionEvent> {
  await job.line(() => eventsOf(job, 'promotion').length >= n);
  const decision = eventsOf(job, 'promotion')[n - 1];
  if (decision) return decision;
  throw new Error('It is not there.');
}

function command(name: string, ...args: string[]): ReturnType<typeof millrace> {
  return millrace([name, ...args, '--data-dir', dataDir]);
}

async function models(): Promise<Record<string, z.output<typeof modelsSchema>>> {
  const { stdout } = await command('models', '--json');
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => modelsSchema.parse(JSON.parse(line)));
  return Object.fromEntries(rows.map((row) => [row.id, row]));
}

/** Waits until these weights answer over HTTP: they are taken between two tokens, a moment after the decision. */
async function speaks(job: Millrace, id: string): Promise<void> {
  const listening = await job.line((line) => line.startsWith('{"event":"listening"'));
  const { url } = z.object({ url: z.string() }).parse(JSON.parse(listening));
  for (let fingerprint = ''; !fingerprint.includes(id); await sleep(20)) {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'promoting', prompt: 'the', max_tokens: 1 }),
    });
    fingerprint = answerSchema.parse(await response.json()).system_fingerprint ?? '';
  }
}

function text({ value }: LogRecord): string {
  return Buffer.from(value ?? []).toString();
}

/** Decisions in their topic, and dead letters: code and value. */
async function kept(): Promise<{ records: string[]; letters: (readonly [string, string])[] }> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  const records = (await readTopic(log, 'promotions')).map(text);
  const letters = (await readTopic(log, 'deadletters')).map(
    (each) => [each.headers['code'] ?? '', text(each)] as const,
  );
  await log.close();
  return { records, letters };
}
