import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { openEmbeddedLog } from '../../infra/index.ts';
import type { LogRecord } from '../../operators/index.ts';
import { dataFolder } from '../../pipelines/job/job-folder.ts';
import { millrace } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';

const STREAMS = `
streams:
  learn:
    - { uid: text, ingest: { topics: [text], tickEvery: 200ms } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: { maxWait: 500ms } }
    - { uid: train, trainStep: {} }
    - { uid: metrics, publish: { topic: metrics } }
    - { uid: checkpoint, checkpoint: { every: 2s } }
  speak:
    - { uid: asked, ingest: { topics: [prompts], from: latest } }
    - { uid: prompts, prompts: {} }
    - { uid: tokenize-prompt, tokenizePrompt: {} }
    - { uid: generate, generate: {} }
    - { uid: detokenize, detokenize: {} }
    - { uid: answers, publish: { topic: generations, exactlyOnce: false } }
    - { uid: offsets, checkpoint: { every: 1s, keep: 2 } }
`;

const stepSchema = z.object({ totals: z.object({ bytes: z.number() }) });

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-formats-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('trains on a field of JSON that millrace produce has put it into, and answers in bare text', async () => {
  const graph = await graphWith(`
  text: { format: json, field: message.text }
  prompts: { format: json, field: question }
  generations: { format: text }
  metrics: { format: json }
standingPrompts: { topic: prompts, every: 500ms, prompts: [the], maxTokens: 5 }`);
  const lines = Array.from({ length: 40 }, (_, at) => `the mill ${at} turns. `.repeat(10).trim());
  const bodies = [...lines.map((line, at) => (at % 2 ? line : JSON.stringify({ message: { text: line } }))), '{}'];
  const produced = await millrace(
    ['produce', 'text', '-', '--graph', graph, '--data-dir', folder],
    `${bodies.join('\n')}\n`,
  );
  expect(produced.code, produced.stderr).toBe(0);
  const run = await millrace(['up', graph, '--data-dir', folder, '--json', '--until-idle', '3s']);
  expect(run.code, run.stderr).toBe(0);

  const last = (await read('metrics')).at(-1);
  const { totals } = stepSchema.parse(JSON.parse(String(last?.value)));
  expect(totals.bytes).toBe(lines.join('').length);
  expect((await read('deadletters')).map(({ headers }) => [headers['offset'], headers['code']])).toEqual([
    [String(bodies.length - 1), 'field-missing'],
  ]);
  const answers = (await read('generations')).filter(({ value }) => value && value.length > 0);
  expect(answers.length).toBeGreaterThan(0);
  expect(answers.filter(({ value }) => String(value).startsWith('{'))).toEqual([]);
});

async function graphWith(topics: string): Promise<string> {
  const path = join(folder, 'graph.yaml');
  await writeFile(
    path,
    `name: formats\nmodel: { preset: nano }\ntokenizer: { kind: bytes }\ntopics: ${topics}\n${STREAMS}`,
  );
  return path;
}

async function read(topic: string): Promise<LogRecord[]> {
  const log = await openEmbeddedLog(dataFolder(folder).log);
  const records = await readTopic(log, topic);
  await log.close();
  return records;
}
