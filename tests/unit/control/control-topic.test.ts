import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MillraceError, plainFormat } from '../../../operators/index.ts';
import type { DeadLetter, TopicLog } from '../../../operators/index.ts';
import { ControlTopic } from '../../../pipelines/control/control-topic.ts';
import { DeploymentTopic } from '../../../pipelines/control/deployment-topic.ts';
import type { Attempt } from '../../../pipelines/control/deployments.ts';
import { CommandHandler } from '../../../pipelines/control/handle-command.ts';
import { dataFolder, newJob } from '../../../pipelines/job/job-folder.ts';
import type { JobFolder } from '../../../pipelines/job/job-folder.ts';
import type { Decision } from '../../../pipelines/promotion/promotion-state.ts';
import { recordVersion, writeVersion } from '../../../pipelines/redeploy/graph-history.ts';
import type { GraphVersion } from '../../../pipelines/redeploy/graph-history.ts';
import { graphOf } from '../../support/graphs.ts';
import { jobGraph } from '../../support/job-graph.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { readTopic } from '../../support/read-topic.ts';

/* The control topic of a job whose deployments are only noted. */

const GRAPH = graphOf(jobGraph({ name: 'asked', also: 'control: { topic: metrics }' }));

let root: string;
let folder: JobFolder;
let log: MemoryLog;
let running: Process[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-control-'));
  folder = newJob(dataFolder(root), 'embedded');
  await recordVersion(folder, GRAPH, { how: 'up', discard: [], plan: null, outcome: 'live' });
  log = new MemoryLog();
  await log.createTopic('metrics');
  await log.createTopic('deadletters');
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((process) => process.topic.close()));
  await rm(root, { recursive: true, force: true });
});

interface ProcessOptions {
  /** Dies before it commits that it has read anything. */
  readonly dies?: boolean;
  readonly outcomes?: readonly Partial<GraphVersion>[];
  readonly promotes?: boolean;
}

/** One life of the job. */
class Process {
  readonly topic: ControlTopic;
  readonly letters: DeadLetter[] = [];
  readonly warnings: string[] = [];
  attempts = 0;
  savepoints = 0;
  /** What was asked of the promotion. */
  readonly seated: unknown[] = [];

  constructor({ dies = false, outcomes = [], promotes = false }: ProcessOptions = {}) {
    const job = (): {
      folder: JobFolder;
      graph: typeof GRAPH;
      log: TopicLog;
      formats: { of: () => typeof plainFormat };
    } => ({
      folder,
      graph: GRAPH,
      log: dies ? forgetful(log) : log.another(),
      formats: { of: () => plainFormat },
    });
    const told = new DeploymentTopic(job);
    const onWarning = (warning: string): void => void this.warnings.push(warning);
    const handler = new CommandHandler({
      job,
      topic: told,
      deployments: {
        attempt: async ({ how, request = '' }): Promise<Attempt> => {
          const outcome = outcomes[this.attempts] ?? { outcome: 'live' };
          this.attempts += 1;
          const about = { how, discard: [], plan: { effect: 'live' }, outcome: 'pending', request } as const;
          await writeVersion(folder, { ...(await recordVersion(folder, GRAPH, about)), ...outcome });
          await told.catchUp();
          const error = outcome.code === 'job-busy' ? new MillraceError('job-busy', 'Not now.') : null;
          return { deployed: null, error, record: null };
        },
        attemptRollback: () => Promise.reject(new Error('nobody asks for it')),
      },
      promotion: promotes
        ? {
            promote: async (version, request): Promise<Decision> => {
              this.seated.push([version, request]);
              return decided('promoted');
            },
            demote: async (request): Promise<Decision> => {
              this.seated.push([request]);
              throw new MillraceError('bad-usage', 'There was no champion before this one.');
            },
          }
        : null,
      savepoint: async () => ({ id: `saved-${++this.savepoints}` }),
      whenFlowing: () => Promise.resolve(true),
      onDeadLetter: (letter) => this.letters.push(letter),
      onWarning,
    });
    this.topic = new ControlTopic({ job, handle: (record, signal) => handler.handle(record, signal), onWarning });
    // One that died can't be closed any more.
    if (!dies) running.push(this);
  }
}

function decided(verdict: Decision['verdict']): Decision {
  const snapshot = { id: '000000012', step: 640 };
  const about = { by: 'hand', reasons: [], results: null, against: null, answers: [] } as const;
  return { sequence: 0, timestampMs: 0, verdict, snapshot, champion: snapshot, ...about };
}

/** As a process sees its log that dies at the first thing it would commit. */
function forgetful(shared: MemoryLog): TopicLog {
  const mine = shared.another();
  mine.transactions = async () => ({ commit: () => new Promise(() => {}), close: async () => {} });
  return mine;
}

/** Resolves when the job has begun to read. */
async function begun(): Promise<void> {
  await expect.poll(() => log.committed(`${folder.id}/control`, 'metrics')).toHaveLength(1);
}

async function ask(...commands: readonly string[]): Promise<void> {
  await log.produce(
    'metrics',
    commands.map((value) => ({ value })),
  );
}

async function outcomes(): Promise<Pick<GraphVersion, 'request' | 'outcome'>[]> {
  const records = await readTopic(log, 'deployments');
  return records.map(({ value }): GraphVersion => JSON.parse(String(value)));
}

async function position(): Promise<number | undefined> {
  const [committed] = await log.committed(`${folder.id}/control`, 'metrics');
  return committed?.offset;
}

async function handled(offset: number): Promise<void> {
  await expect.poll(position, { timeout: 10_000 }).toBe(offset);
}

const DEPLOY = JSON.stringify({ command: 'deploy', graph: jobGraph({ name: 'asked' }) });

test('what is asked after a job has begun to read is done, once, and told', async () => {
  await ask(DEPLOY);
  const job = new Process();
  await begun();
  await ask(DEPLOY, DEPLOY.replace('{', '{"id": "mine", '), DEPLOY.replace('{', '{"id": "mine", '), 'savepoint');
  await handled(5);
  expect([job.attempts, job.savepoints]).toEqual([2, 1]);
  expect(await outcomes()).toMatchObject([
    { request: 'metrics/0/1', outcome: 'live' },
    { request: 'mine', outcome: 'live' },
    { request: 'metrics/0/4', outcome: 'saved', savepoint: 'saved-1' },
  ]);
  await job.topic.close();
  const next = new Process();
  await ask('{"command": "savepoint", "job": "another"}');
  await handled(6);
  expect([next.attempts, next.savepoints]).toEqual([0, 0]);
});

test('a deployment is carried out once, and told once, where the process dies before it could note that', async () => {
  const first = new Process();
  await begun();
  await first.topic.close();
  await ask(DEPLOY);
  const dying = new Process({ dies: true });
  await expect.poll(() => dying.attempts).toBe(1);
  await expect.poll(outcomes).toHaveLength(1);
  const next = new Process();
  await handled(1);
  expect([next.attempts, await outcomes()]).toMatchObject([0, [{ request: 'metrics/0/0', outcome: 'live' }]]);
});

test('a deployment that died with its process is tried again, but not for ever', async () => {
  const died = { outcome: 'failed', code: 'process-died' } as const;
  const first = new Process();
  await begun();
  await first.topic.close();
  await ask(DEPLOY, DEPLOY);
  for (let death = 0; death < 3; death++) {
    const about = { how: 'deploy', discard: [], plan: null, outcome: 'pending', request: 'metrics/0/0' } as const;
    const version = await recordVersion(folder, GRAPH, about);
    await writeVersion(folder, { ...version, ...died });
    if (death < 2) continue;
    const about1 = { ...about, request: 'metrics/0/1' };
    await writeVersion(folder, { ...(await recordVersion(folder, GRAPH, about1)), ...died });
  }
  const next = new Process();
  await handled(2);
  expect(next.attempts).toBe(1);
});

test('a job that is busy is waited for', async () => {
  const job = new Process({ outcomes: [{ outcome: 'failed', code: 'job-busy' }] });
  await begun();
  await ask(DEPLOY);
  await handled(1);
  expect(job.attempts).toBe(2);
});

test('a snapshot is let speak, or refused, and both are told', async () => {
  const job = new Process({ promotes: true });
  await begun();
  await ask('{"command": "promote", "version": "12", "id": "mine"}', 'demote');
  await handled(2);
  expect(job.seated).toEqual([['12', 'mine'], ['metrics/0/1']]);
  expect(await outcomes()).toMatchObject([
    { request: 'mine', how: 'promote', outcome: 'promoted', note: '000000012 speaks, of step 640.' },
    { request: 'metrics/0/1', how: 'demote', outcome: 'refused', code: 'bad-usage' },
  ]);
  await job.topic.close();
  const plain = new Process();
  await ask('promote');
  await handled(3);
  expect(plain.warnings).toEqual([expect.stringContaining('does not say promote:')]);
});

test('what is no command goes to the dead letters together with its offset, and a graph that is none is refused', async () => {
  const job = new Process();
  await begun();
  await ask('{"command": "dance"}', JSON.stringify({ command: 'deploy', graph: 'name: [' }));
  await handled(2);
  const letters = await readTopic(log, 'deadletters');
  expect(letters.map(({ headers, value }) => [headers['code'], headers['offset'], String(value)])).toEqual([
    ['command-invalid', '0', '{"command": "dance"}'],
  ]);
  expect(job.letters).toHaveLength(1);
  expect(job.warnings).toEqual([expect.stringContaining('deploy of metrics/0/1 came to nothing')]);
  expect(await outcomes()).toMatchObject([{ request: 'metrics/0/1', outcome: 'refused', code: 'graph-invalid' }]);
});
