import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { graphHash, lintGraph, planRedeploy } from '../../pipelines/index.ts';
import type { Finding, Graph } from '../../pipelines/index.ts';
import { staleModules } from '../../pipelines/own-operators/stale-modules.ts';
import { graphDocument } from '../../pipelines/spec/graph.ts';
import { graphLines } from '../../pipelines/terminal/graph-view.ts';
import { statesOf } from '../support/graphs.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/drop-duplicates/', import.meta.url));
const TEXT = readFileSync(join(EXAMPLE, 'graph.yaml'), 'utf8');
const MODULE = readFileSync(join(EXAMPLE, 'drop-duplicates.ts'), 'utf8');

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-own-'));
  write('drop-duplicates.ts', MODULE);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(name: string, text: string): void {
  writeFileSync(join(directory, name), text);
}

function findings(text = TEXT): readonly Finding[] {
  return lintGraph(text, { directory }).findings;
}

function graph(text = TEXT): Graph {
  const linted = lintGraph(text, { directory });
  expect(linted.findings).toEqual([]);
  if (!linted.graph) throw new Error('no graph');
  return linted.graph;
}

describe('a graph with operators of one’s own', () => {
  test('knows their kinds, settings and documentation', () => {
    const lines = graphLines(graph());
    expect(lines).toMatch(/fresh {2}dropDuplicates: document → document\n.*State: digests of the last documents\./);
    expect(lines).toMatch(/remember +1000 +Documents that are remembered\./);
    expect(findings(TEXT.replace('remember: 1000', 'remembers: 1'))).toMatchObject([
      { code: 'unknown-key', message: 'There is no setting "remembers" here. Did you mean "remember"?' },
    ]);
    expect(findings(TEXT.replace('dropDuplicates:', 'dropDuplicate:'))).toMatchObject([
      { code: 'kind-unknown', message: 'There is no operator "dropDuplicate". Did you mean "dropDuplicates"?' },
    ]);
    expect(findings(TEXT.replace('fresh, drop', 'fresh, x: {}, drop')).map(({ code }) => code)).toContain(
      'kind-unknown',
    );
  });

  test('is the same wherever its files lie, and another when the code is, also that of a file which it imports', () => {
    const before = graph();
    const elsewhere = join(directory, 'elsewhere');
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'drop-duplicates.ts'), MODULE);
    const moved = lintGraph(TEXT, { directory: elsewhere }).graph;
    expect(moved && graphHash(moved)).toBe(graphHash(before));
    write('digest.ts', `export const algorithm: string = 'sha256';`);
    write(
      'drop-duplicates.ts',
      MODULE.replace(`'sha256'`, 'algorithm').replace('import', `import { algorithm } from './digest.ts';\nimport`),
    );
    const imports = graph();
    write('digest.ts', `export const algorithm: string = 'sha512';`);
    const changed = graph();
    expect(new Set([before, imports, changed].map(graphHash)).size).toBe(3);

    const states = statesOf({ learn: { fresh: { state: ['a digest'] } } });
    const plan = planRedeploy({ from: imports, to: changed, states, discard: new Set() });
    expect(plan).toMatchObject({ outcome: 'changes', effect: 'rebuild', rebuilt: ['learn'], settings: [] });
    expect(plan.operators.filter(({ action }) => action !== 'kept')).toMatchObject([
      { uid: 'fresh', action: 'reconfigured', state: 'kept', reasons: [expect.stringContaining('Its code changed')] },
    ]);
    expect(staleModules(changed.operators)).toEqual([]);
    expect(staleModules(imports.operators)).toEqual([expect.stringContaining('drop-duplicates.ts has changed')]);
    rmSync(join(directory, 'drop-duplicates.ts'));
    expect(staleModules(changed.operators)).toEqual([expect.stringContaining('can not be read any more')]);
  });

  test('carries their code in its document, which is run only where that was written by Millrace', () => {
    const before = graph();
    const document = JSON.stringify(graphDocument(before));
    rmSync(directory, { recursive: true });
    const again = lintGraph(document, { runsPacked: true }).graph;
    expect(again && graphHash(again)).toBe(graphHash(before));
    expect(lintGraph(document).findings.map(({ code, message }) => [code, message])).toEqual([
      ['operators-invalid', 'Code does not belong in a graph. Name the file that it stands in.'],
    ]);
    expect(lintGraph(TEXT).findings).toMatchObject([{ code: 'operators-invalid', path: 'operators[0]' }]);
    mkdirSync(directory);
  });

  test('is the same wherever its log is', () => {
    const there = graph(TEXT.replace('model:', 'kafka: { brokers: ["b:1"] }\nmodel:'));
    expect(graphHash(there)).toBe(graphHash(graph()));
  });
});

const KIND = `import { defineKind } from 'millrace/operators';
import { z } from 'zod';
export const kind = defineKind({ kind: 'dropDuplicates', summary: 'None.', input: 'any', output: 'any',
  config: z.strictObject({}), build: () => (flow) => flow });
`;

const BAD: readonly (readonly [what: string, file: string, code: string, message: string])[] = [
  ['a syntax error', 'drop-duplicates.ts', 'export const a: number = ;\n', 'drop-duplicates.ts:1:26: Unexpected ";"'],
  [
    'a file that is not there',
    'drop-duplicates.ts',
    `import './gone.ts';\n`,
    'drop-duplicates.ts:1:8: Could not resolve',
  ],
  [
    'a throw',
    'drop-duplicates.ts',
    `const a: number = 1;\n\nthrow new Error('no ' + a);\n`,
    'drop-duplicates.ts:3:7: it throws as it is loaded: Error: no 1',
  ],
  ['no operator', 'drop-duplicates.ts', 'export const kinds = 3;\n', 'it exports no operator'],
  [
    'half an operator',
    'drop-duplicates.ts',
    `export const a = { kind: 'half', summary: 'x', input: 'x' };\n`,
    'operator "half" is not as defineKind makes it: input',
  ],
  [
    'a name that is taken',
    'drop-duplicates.ts',
    KIND.replace('dropDuplicates', 'batch'),
    'The operator "batch" is one of Millrace',
  ],
  [
    'the same name twice',
    'drop-duplicates.ts',
    KIND + KIND.split('\n').slice(2).join('\n').replace('const kind', 'const other'),
    'The operator "dropDuplicates" is defined twice',
  ],
  ['what nobody gives', 'drop-duplicates.ts', `import 'millrace/model';\n`, `"millrace/model" can't be imported`],
];

describe('a module that can not be used is refused before anything runs:', () => {
  test.each(BAD)('%s', (_what, file, code, message) => {
    write(file, code);
    const found = findings(TEXT.replace('{ remember: 1000 }', '{}'));
    const [first] = found;
    expect(first).toMatchObject({ code: 'operators-invalid', path: 'operators[0]', line: 4 });
    expect(first?.message).toContain(message);
    expect(found).toHaveLength(1);
  });

  test('no such file', () => {
    expect(findings(TEXT.replace('./drop-duplicates.ts', '[./drop-duplicates.ts, ./other.ts]'))).toMatchObject([
      { code: 'operators-invalid', path: 'operators[1]', message: expect.stringContaining('other.ts') },
    ]);
  });
});

test.each(['mjs', 'js', 'cjs', 'mts'])('a module may be .%s', (extension) => {
  const file = `kind.${extension}`;
  write(
    file,
    extension === 'cjs'
      ? KIND.replaceAll(/import (.*) from '(.*)';/g, `const $1 = require('$2');`).replace(
          'export const kind',
          'exports.kind',
        )
      : KIND,
  );
  expect(findings(TEXT.replace('drop-duplicates.ts', file).replace('{ remember: 1000 }', '{}'))).toEqual([]);
});
