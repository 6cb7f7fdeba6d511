import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { format } from 'prettier';
import { expect, test } from 'vitest';
import { lintGraph } from '../../pipelines/index.ts';
import { operatorReference } from '../../pipelines/spec/reference.ts';
import { millrace } from '../support/millrace.ts';

const ROOT = new URL('../../', import.meta.url);
const README = readFileSync(new URL('README.md', ROOT), 'utf8');

test('the composition by hand runs as it stands there', async () => {
  const stdout = await runBlock(1);
  expect(stdout.split('\n').filter((line) => line.startsWith('step '))).toHaveLength(5);
});

test('the compiled function learns what stands there', async () => {
  const lines = (await runBlock(2)).trim().split('\n');
  expect(lines).toHaveLength(101);
  expect(Number(lines[99])).toBeLessThan(1e-3);
  const weights: number[][] = JSON.parse(lines[100] ?? '');
  expect(weights.flat().map((weight) => Math.round(weight * 10) / 10)).toEqual([3, -1]);
});

/** Runs one of the blocks in TypeScript; resolves with what it prints. */
async function runBlock(at: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-readme-'));
  try {
    const code = blocks('ts')[at] ?? '';
    // What stands there imports the package; here it is the sources, and whatever they depend on.
    const local = code
      .replaceAll(/'millrace\/(\w+)'/g, (_match, room: string) => `'${new URL(`${room}/index.ts`, ROOT).href}'`)
      .replaceAll(`'rxjs'`, `'${import.meta.resolve('rxjs')}'`);
    const file = join(folder, 'by-hand.mts');
    await writeFile(file, local);
    const tsx = import.meta.resolve('tsx');
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', tsx, file], { cwd: folder });
    return stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('the graph has nothing to be found', () => {
  const graphs = blocks('yaml');
  expect(graphs.length).toBeGreaterThan(0);
  expect(graphs.flatMap((graph) => lintGraph(graph).findings)).toEqual([]);
});

test('the operator of one’s own is what its graph asks for', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-readme-'));
  try {
    await writeFile(join(folder, 'drop-duplicates.ts'), blocks('ts')[0] ?? '');
    const example = readFileSync(new URL('examples/drop-duplicates/graph.yaml', ROOT), 'utf8');
    const graph = example.replace('dropDuplicates: { remember: 1000 }', 'dropDuplicates: {}');
    expect(lintGraph(graph, { directory: folder }).findings).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('the reference of operators is what their schemas say; npm run docs renews it', async () => {
  const wanted = await format(operatorReference(), { parser: 'markdown', printWidth: 120 });
  expect(README).toContain(wanted.trim());
});

test('every code of an error stands in the table', () => {
  const sources = ['operators/errors.ts', 'model/errors.ts'].map((file) => readFileSync(new URL(file, ROOT), 'utf8'));
  const codes = sources.flatMap((source) => [...source.matchAll(/\| '([a-z0-9-]+)'/g)].map(([, code]) => code));
  expect(codes.length).toBeGreaterThan(20);
  expect(codes.filter((code) => !README.includes(`\`${code}\``))).toEqual([]);
});

test('every command and flag of the guide is there', async () => {
  const lines = blocks('sh').flatMap((block) => block.split('\n'));
  const commands = lines.flatMap((line) => [...line.matchAll(/npx millrace (\w+)([^|#]*)/g)]);
  expect(commands.length).toBeGreaterThan(8);
  for (const [, command = '', rest = ''] of commands) {
    if (command === 'setup') continue;
    const { code, stdout } = await millrace([command, '--help']);
    expect(code, command).toBe(0);
    for (const [flag] of rest.matchAll(/--[a-z-]+/g)) expect(stdout, `${command} ${flag}`).toContain(flag);
  }
});

/** Fenced blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, code = '']) => code);
}
