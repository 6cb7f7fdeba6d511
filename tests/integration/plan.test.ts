import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fillTopic, recordsOf } from '../support/embedded-topics.ts';
import { millrace } from '../support/millrace.ts';

const METRICS = '    - { uid: metrics, publish: { topic: metrics } }\n';
const GRAPH = `
name: plan
model: { preset: nano }
tokenizer: { kind: bytes }
topics: { text: {}, metrics: {} }
streams:
  learn:
    - { uid: text, ingest: { topics: [text], tickEvery: 200ms } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {} }
    - { uid: train, trainStep: {} }
${METRICS}    - { uid: checkpoint, checkpoint: { every: 2s } }
`;

let dataDir: string;
let graph: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-plan-'));
  graph = join(dataDir, 'graph.yaml');
  await writeFile(graph, GRAPH);
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

test('a changed graph is planned, refused or taken; the job remembers it, and counts what it published anew', async () => {
  const at = ['--data-dir', dataDir];
  const texts = Array.from({ length: 60 }, (_, index) => `the mill ${index}. `.repeat(40));
  await fillTopic(dataDir, 'text', texts);
  expect((await millrace(['plan', graph, ...at])).stderr).toContain('No job has run');
  expect((await millrace(['up', graph, '--max-steps', '3', ...at])).code).toBe(0);
  expect((await millrace(['plan', graph, ...at])).code).toBe(0);

  await writeFile(graph, GRAPH.replace(METRICS, '').replace('batch: {}', 'batch: { rows: 4 }'));
  const refused = await millrace(['plan', graph, '--json', ...at]);
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stdout)).toMatchObject({ outcome: 'refused', effect: 'rebuild' });
  expect((await millrace(['up', graph, ...at])).stderr).toContain('plan-refused');
  const discarding = await millrace(['plan', graph, '--discard', 'metrics', ...at]);
  expect(discarding.code).toBe(2);
  expect(discarding.stdout).toContain('rows: not set → 4');
  const taken = await millrace(['up', graph, '--discard', 'metrics', '--max-steps', '5', '--json', ...at]);
  expect(taken.code, taken.stderr).toBe(0);
  expect(taken.stdout).toContain('"event":"plan"');

  // The operator comes back: it starts empty, whatever a cut from before it went still says of it.
  const again = join(dataDir, 'again.yaml');
  await writeFile(again, GRAPH);
  expect((await millrace(['up', again, '--max-steps', '7', ...at])).code).toBe(0);
  expect((await millrace(['up', '--max-steps', '8', ...at])).code).toBe(0);
  const metrics = await recordsOf(dataDir, 'metrics');
  const sequences = metrics.map(({ headers }) => headers['millrace-sequence']);
  expect(sequences).toEqual(['1', '2', '3', '1', '2', '3']);
});
