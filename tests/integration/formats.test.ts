import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { fillTopic, recordsOf } from '../support/embedded-topics.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import { FakeSchemaRegistry } from '../support/schema-registry.ts';

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

const SECRET = 'c0rrect-h0rse';
const stepSchema = z.object({ step: z.number(), totals: z.object({ bytes: z.number() }) });
const shownSchema = z.object({ value: stepSchema });

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

  const last = (await recordsOf(folder, 'metrics')).at(-1);
  const { totals } = stepSchema.parse(JSON.parse(String(last?.value)));
  expect(totals.bytes).toBe(lines.join('').length);
  expect((await recordsOf(folder, 'deadletters')).map(({ headers }) => [headers['offset'], headers['code']])).toEqual([
    [String(bodies.length - 1), 'field-missing'],
  ]);
  const answers = (await recordsOf(folder, 'generations')).filter(({ value }) => value && value.length > 0);
  expect(answers.length).toBeGreaterThan(0);
  expect(answers.filter(({ value }) => String(value).startsWith('{"'))).toEqual([]);
});

test('trains and answers in Avro, by the schemas of a registry, and survives its absence', async () => {
  const registry = new FakeSchemaRegistry();
  const url = await registry.listen();
  const graph = await graphWith(`
  text: { format: avro }
  prompts: { format: avro, schema: millrace.Prompt }
  generations: { format: avro, schema: millrace.GenerationDelta }
  metrics: { format: avro, schema: millrace.StepReport }
standingPrompts: { topic: prompts, every: 500ms, prompts: [the], maxTokens: 5 }
schemaRegistry: { url: "${url}", username: me, password: { env: REGISTRY_PASSWORD }, patience: 1s }`);
  const env = { REGISTRY_PASSWORD: SECRET };
  registry.authorization = `Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`;
  const writer = { type: 'record', name: 'Line', fields: [{ name: 'text', type: 'string' }] };
  registry.add('text-value', writer);
  registry.add('text-value', '"int"');
  const lines = Array.from({ length: 40 }, (_, at) => `the mill ${at} turns. `.repeat(10));
  const poison = [
    ['0000000001c328', 'record-not-avro'],
    ['7b7d', 'record-not-avro'],
    ['000000000206', 'field-missing'],
    ['00000000090678', 'schema-unknown'],
    ['000000000104c328', 'record-not-utf8'],
    ['000000000100', 'record-empty'],
    [null, 'record-empty'],
  ] as const;
  await fillTopic(folder, 'text', [
    ...lines.map((line) => Buffer.concat([Buffer.from('0000000001', 'hex'), avroString(line)])),
    ...poison.map(([hex]) => hex && Buffer.from(hex, 'hex')),
  ]);
  const up = ['up', graph, '--data-dir', folder, '--json', '--until-idle', '3s'];

  registry.faults = Infinity;
  const without = await new Millrace(up, { env }).finished;
  expect(without.code).toBe(1);
  expect(without.stderr).toContain('[registry-unreachable]');
  expect(await recordsOf(folder, 'deadletters')).toEqual([]);

  registry.faults = 0;
  const run = await new Millrace(up, { env }).finished;
  expect(run.code, run.stderr).toBe(0);
  expect((await recordsOf(folder, 'deadletters')).map(({ headers }) => headers['code'])).toEqual(
    poison.map(([, code]) => code),
  );
  const tail = ['tail', 'metrics', '--graph', graph, '--data-dir', folder, '--json', '--until-end'];
  const shown = await new Millrace(tail, { env }).finished;
  const steps = shown.stdout.split('\n').map((line) => shownSchema.parse(JSON.parse(line)).value);
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, at) => at + 1));
  expect(steps.at(-1)?.totals.bytes).toBe(lines.join('').length);
  const heard = await new Millrace([...tail.slice(0, 1), 'generations', ...tail.slice(2, -2), '--until-end'], { env })
    .finished;
  expect(heard.stdout).toMatch(/standing-/);
  expect([without, run, shown].map(({ stdout, stderr }) => stdout + stderr).join('')).not.toContain(SECRET);
});

async function graphWith(topics: string): Promise<string> {
  const path = join(folder, 'graph.yaml');
  await writeFile(
    path,
    `name: formats\nmodel: { preset: nano }\ntokenizer: { kind: bytes }\ntopics: ${topics}\n${STREAMS}`,
  );
  return path;
}

/** Its length, which is even as a zigzag number, and its bytes. */
function avroString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const zigzag = 2 * bytes.length;
  return Buffer.concat([Buffer.of((zigzag & 0x7f) | 0x80, zigzag >> 7), bytes]);
}
