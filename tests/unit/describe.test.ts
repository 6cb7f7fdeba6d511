import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { dotOf, mermaidOf } from '../../pipelines/spec/describe.ts';
import { graphJsonSchema } from '../../pipelines/spec/graph-schema.ts';
import { kinds } from '../../pipelines/spec/registry.ts';
import { graphLines } from '../../pipelines/terminal/graph-view.ts';
import { graphOf } from '../support/graphs.ts';

const GRAPH = graphOf(`name: two
topics: { text: {}, 'm-1': {} }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: "say \\"x\\"", decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: { rows: 2 } }
    - { uid: train, trainStep: {} }
    - { uid: out, publish: { topic: m-1 } }
    - { uid: checkpoint, checkpoint: {} }
`);

test('prints every operator with its settings, what they mean, and what it remembers', () => {
  const lines = graphLines(GRAPH);
  expect(lines).toContain('stream learn: text → text → say "x" → tokenize → pack → train → out → checkpoint');
  expect(lines).toMatch(/pack {2}batch: tokenized-document → token-batch\n.*State: the batch that has begun\./);
  expect(lines).toMatch(/^topics +text, m-1$/m);
  expect(lines).toMatch(/rows +2 +Rows of a batch/);
  expect(lines).toMatch(/context +– +Tokens of a row/);
});

test('draws topics, operators and what flows between them', () => {
  const mermaid = mermaidOf(GRAPH).split('\n');
  expect(mermaid[0]).toBe('flowchart LR');
  // text, out and the six steps between; the topics have numbers behind the operators.
  expect(mermaid.filter((line) => line.includes('-->')).map((line) => line.trim())).toEqual([
    'n7 --> n0',
    'n0 --> n1',
    'n1 --> n2',
    'n2 --> n3',
    'n3 --> n4',
    'n4 --> n5',
    'n5 --> n6',
    'n5 --> n8',
  ]);
  expect(mermaid).toContain('    n1["say &quot;x&quot;<br>decode"]');
  const dot = dotOf(GRAPH);
  expect(dot).toContain('n8 [label="m-1", shape=cylinder];');
  expect(dot).toContain('n1 [label="say \\"x\\"\\ndecode"];');
  expect(dot).toContain('  n5 -> n8;');
});

const schemaSchema = z.object({
  $defs: z.object({ step: z.object({ anyOf: z.array(z.object({ required: z.array(z.string()) })) }) }),
});

test('the schema for editors is made of the schemas that check graphs; npm run docs renews it', () => {
  const shipped: unknown = JSON.parse(
    readFileSync(new URL('../../pipelines/spec/graph.schema.json', import.meta.url), 'utf8'),
  );
  expect(shipped).toEqual(JSON.parse(JSON.stringify(graphJsonSchema())));
  const steps = schemaSchema.parse(shipped).$defs.step.anyOf;
  expect(steps.map(({ required }) => required)).toEqual(kinds.map(({ kind }) => ['uid', kind]));
});
