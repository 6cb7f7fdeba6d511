import { expect, test } from 'vitest';
import { lintGraph } from '../../pipelines/index.ts';
import { jobGraph } from '../support/job-graph.ts';

/** A job's graph with something to say of promotion, and the findings of it: code and path. */
function findings(promote: string, edit: (graph: string) => string = (graph) => graph): string[] {
  const graph = jobGraph({ name: 'promoting', also: `promote: ${promote}` });
  return lintGraph(edit(graph)).findings.map(({ code, path }) => `${code} ${path}`);
}

function withTopic(more: string): (graph: string) => string {
  return (graph) => graph.replace('metrics: {}', `metrics: {}, ${more}`);
}

const WITH_HOLDOUT = (graph: string): string =>
  graph.replace('    - { uid: decode', '    - { uid: apart, holdout: {} }\n    - { uid: decode');

test('promotion needs nothing to be said: there are defaults', () => {
  const { graph } = lintGraph(jobGraph({ name: 'promoting', also: 'promote: {}' }));
  expect(graph?.promote).toEqual({
    topic: 'promotions',
    cloze: 'shipped',
    prompts: 4,
    bars: { margin: 0.02, passRate: 0 },
    fallBackAfter: 3,
  });
});

test.each([
  ['a file of text', '{ heldOut: { file: held-out.txt, bytes: 32KB } }', undefined],
  ['a topic that nothing trains on', '{ heldOut: { topic: apart } }', withTopic('apart: {}')],
  ['the share of a trained topic that is held out', '{ heldOut: { topic: text } }', WITH_HOLDOUT],
  ['decisions as Avro', '{}', withTopic('promotions: { format: avro, schema: millrace.Promotion }')],
  ['a webhook', '{ webhook: { url: "https://example.org/hook", secret: { env: HOOK_SECRET } } }', undefined],
])('%s may be said', (_what, promote, edit) => {
  expect(findings(promote, edit)).toEqual([]);
});

test.each([
  ['a trained topic', '{ heldOut: { topic: text } }', undefined, 'settings-conflict promote.heldOut.topic'],
  ['a topic that is not there', '{ heldOut: { topic: apart } }', undefined, 'topic-missing promote.heldOut.topic'],
  ['both file and topic', '{ heldOut: { topic: text, file: a } }', undefined, 'value-invalid promote.heldOut'],
  ['decisions as text', '{}', withTopic('promotions: { format: text }'), 'settings-conflict promote.topic'],
  [
    'decisions with a field',
    '{}',
    withTopic('promotions: { format: json, field: a }'),
    'settings-conflict promote.topic',
  ],
  [
    'decisions as Avro of no schema',
    '{}',
    withTopic('promotions: { format: avro }'),
    'settings-conflict promote.topic',
  ],
  [
    'a secret in the graph',
    '{ webhook: { url: "https://a.b", secret: abc } }',
    undefined,
    'value-invalid promote.webhook.secret',
  ],
  ['a bar that is none', '{ bars: { passRate: 2 } }', undefined, 'value-invalid promote.bars.passRate'],
  ['a setting that is none', '{ bar: {} }', undefined, 'unknown-key promote.bar'],
])('%s is found', (_what, promote, edit, finding) => {
  expect(findings(promote, edit)).toEqual([finding]);
});

test('there must be something that trains', () => {
  const { findings: found } = lintGraph(`
name: nothing
topics: { text: {}, out: {} }
promote: {}
streams:
  pass:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
`);
  expect(found.map(({ code, path }) => `${code} ${path}`)).toEqual(['settings-conflict promote']);
});
