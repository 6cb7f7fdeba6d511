import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { currentJob, dataFolder } from '../../pipelines/job/job-folder.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';

/* A job that trains, and is asked over HTTP meanwhile. */

const listeningSchema = z.looseObject({ url: z.string(), model: z.string() });

let dataDir: string;
let graph: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-http-'));
  graph = join(dataDir, 'graph.yaml');
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

test.each([
  ['the sampler that answers its prompts', true],
  ['a sampler of its own, where no stream has one', false],
])('a job speaks over HTTP with %s', async (_, speaks) => {
  await writeFile(graph, jobGraph({ name: 'spoken', speaks }));
  const texts = Array.from({ length: 30 }, (_unused, at) =>
    `The ${at}th word of the Union is written here. `.repeat(20),
  );
  await millrace(['produce', 'text', '-', '--data-dir', dataDir], texts.join('\n'));
  const env = { MILLRACE_HTTP_TOKEN: 'a secret' };
  const run = new Millrace(['up', graph, '--data-dir', dataDir, '--json', '--http', '0'], { env });
  const { url, model } = listeningSchema.parse(
    JSON.parse(await run.line((line) => line.startsWith('{"event":"listening"'))),
  );
  expect(run.lines.findIndex((line) => line.startsWith('{"event":"ready"'))).toBe(0);
  await run.line((line) => line.startsWith('{"event":"checkpoint"'));

  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'a secret' });
  const ask = { model, prompt: 'The', max_tokens: 12, temperature: 0, logprobs: 2, seed: 1 };
  const answer = await client.completions.create(ask);
  expect(answer).toMatchObject({ model: 'spoken', usage: { prompt_tokens: 4, completion_tokens: 12 } });
  expect(answer.system_fingerprint).toMatch(/^step-\d+-\d{9}/);
  expect(answer.choices[0]?.logprobs?.token_logprobs).toHaveLength(12);
  let said = '';
  for await (const { choices } of await client.completions.create({ ...ask, max_tokens: 5, stream: true })) {
    said += choices[0]?.text ?? '';
  }
  expect(said.length).toBeGreaterThan(0);
  const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'another', maxRetries: 0 });
  await expect(stranger.completions.create(ask)).rejects.toMatchObject({ status: 401 });

  run.kill('SIGINT');
  const { code, stdout, stderr } = await run.finished;
  expect(code).toBe(0);
  expect(stdout + stderr).not.toContain('a secret');
  await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed');
});

test('a port that is taken, and a place that is none, are said so', async () => {
  await writeFile(graph, jobGraph({ name: 'spoken' }));
  const open = await millrace(['up', graph, '--data-dir', dataDir, '--http', '0.0.0.0:0']);
  expect(open).toMatchObject({ code: 2, stderr: expect.stringContaining('MILLRACE_HTTP_TOKEN') });
  expect(currentJob(dataFolder(dataDir))).toBeNull();
  const wrong = await millrace(['up', graph, '--data-dir', dataDir, '--http', 'here']);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('port such as 8080') });
});
