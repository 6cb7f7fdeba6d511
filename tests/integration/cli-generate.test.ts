import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openEmbeddedLog } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/index.ts';
import { dataFolder, startJob } from '../../pipelines/job/job-folder.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import { Deferred } from '../support/settle.ts';

const WORDS = [' of', ' the', ' Union'];
const INTERRUPTED = 130;

const promptSchema = z.looseObject({ id: z.string(), prompt: z.string() });
type Asked = z.output<typeof promptSchema>;

let dataDir: string;
let log: TopicLog;
let asked: Asked[];
/** Ids of prompts that were taken back. */
let takenBack: string[];
let job: Promise<void> | null;
let stop: AbortController;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
  log = await openEmbeddedLog(dataFolder(dataDir).log);
  [asked, takenBack] = [[], []];
  job = null;
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await job;
  await log.close();
  await rm(dataDir, { recursive: true });
});

/** Stands in for a job's inference stream: answers each prompt by what `say` produces. */
async function answerWith(say: (prompt: Asked) => Promise<void>): Promise<void> {
  startJob(dataFolder(dataDir), 'embedded');
  await log.createTopic('prompts');
  await log.createTopic('generations');
  const reader = log.reader([{ topic: 'prompts', partition: 0, offset: 0 }]);
  job = (async () => {
    while (!stop.signal.aborted) {
      for (const { key, value } of await reader.poll({ waitMs: 1000, signal: stop.signal })) {
        if (value === null) {
          takenBack.push(Buffer.from(key ?? []).toString());
          continue;
        }
        const prompt = promptSchema.parse(JSON.parse(Buffer.from(value).toString()));
        asked.push(prompt);
        await say(prompt);
      }
    }
  })();
}

async function say(
  id: string,
  index: number,
  text: string,
  finish: 'length' | null,
  topic = 'generations',
): Promise<void> {
  const delta = { event: 'generation', id, index, text, finish, weights: { id: '000000001', step: 7 } };
  await log.produce(topic, [{ key: id, value: JSON.stringify(delta) }]);
}

async function sayAll({ id }: Asked): Promise<void> {
  await say('someone-else', 0, ' not this', null);
  for (const [index, word] of WORDS.entries()) await say(id, index, word, index === WORDS.length - 1 ? 'length' : null);
}

function generate(args: readonly string[], input?: string): ReturnType<typeof millrace> {
  return millrace(['generate', '--data-dir', dataDir, ...args], input);
}

describe('millrace generate', () => {
  it('asks the running job, and prints its own answer only', async () => {
    await answerWith(sayAll);
    const { code, stdout } = await generate([
      'We',
      '--max-tokens',
      '3',
      '--temperature',
      '0',
      '--seed',
      '7',
      '--deadline',
      '9s',
      '--stop',
      'END',
      '--stop',
      '.',
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: ' of the Union' });
    expect(asked).toEqual([
      {
        id: expect.any(String),
        prompt: 'We',
        maxTokens: 3,
        temperature: 0,
        seed: 7,
        stop: ['END', '.'],
        deadlineMs: 9000,
      },
    ]);
    expect(takenBack).toEqual([]);
  });

  it('takes the prompt from standard input, and prints deltas as JSON', async () => {
    await answerWith(sayAll);
    const { stdout } = await generate(['-', '--json'], 'two\nlines\n');
    await generate([], 'no dash');
    expect(asked).toMatchObject([{ prompt: 'two\nlines' }, { prompt: 'no dash' }]);
    const deltas = stdout.split('\n').map((line): unknown => JSON.parse(line));
    expect(deltas).toMatchObject(WORDS.map((text, index) => ({ event: 'generation', index, text })));
  });

  it('tells when the job starts again in the middle of an answer', async () => {
    await answerWith(async (prompt) => {
      await say(prompt.id, 0, ' off', null);
      await sayAll(prompt);
    });
    const { code, stdout, stderr } = await generate(['We']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: ' off of the Union' });
    expect(stderr).toMatch(/the job started again/);
  });

  it('shows the answer as it is made, and ends when it is committed', async () => {
    await log.createTopic('generations-live');
    const committed = new Deferred<void>();
    await answerWith(async (prompt) => {
      await say(prompt.id, 0, ' of\n', null, 'generations-live');
      await say(prompt.id, 1, ' the', 'length', 'generations-live');
      await committed.promise;
      await say(prompt.id, 0, ' of\n', null);
      await say(prompt.id, 1, ' the', 'length');
    });
    const asking = new Millrace(['generate', '--data-dir', dataDir, 'We']);
    await asking.line((line) => line === ' of');
    committed.resolve();
    expect(await asking.finished).toEqual({ code: 0, stdout: ' of\n the', stderr: '' });
  });

  it('gives up after a silence, and says what may be wrong', async () => {
    await answerWith(() => Promise.resolve());
    const { code, stderr } = await generate(['We', '--timeout', '300ms']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/nothing has come for 0\.3 s\. Is a job running on .*millrace up.*\[no-answer\]/);
  });

  it('says at once when no job has ever run, or there is nothing to ask', async () => {
    const none = await generate(['We']);
    expect({ code: none.code, stderr: none.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/No job has run .* millrace up.*\[no-answer\]/),
    });
    const empty = await generate(['-'], '\n');
    expect({ code: empty.code, stderr: empty.stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/is empty/) });
  });

  it('ends at Ctrl-C, and takes the prompt back', async () => {
    await answerWith(({ id }) => say(id, 0, ' of\n', null));
    const asking = new Millrace(['generate', '--data-dir', dataDir, 'We']);
    await asking.line((line) => line === ' of');
    asking.kill('SIGINT');
    expect(await asking.finished).toMatchObject({ code: INTERRUPTED, stderr: '' });
    await expect.poll(() => takenBack, { timeout: 20_000 }).toEqual(asked.map(({ id }) => id));
  });
});
