import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const { exports } = z
  .object({ exports: z.record(z.string(), z.unknown()) })
  .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
/** `millrace`, `millrace/operators`, … */
const entryPoints = Object.keys(exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => `millrace${path.slice(1)}`);

describe('the packed package, installed in an empty folder', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-package-'));
  const run = (command: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> =>
    promisify(execFile)(command, args, { cwd: scratch, env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' } });

  beforeAll(async () => {
    await run('npm', 'pack', root, '--foreground-scripts', '--pack-destination', scratch);
    const tarball = readdirSync(scratch).find((name) => name.endsWith('.tgz')) ?? 'no tarball';
    writeFileSync(
      join(scratch, 'package.json'),
      JSON.stringify({ name: 'empty-folder', private: true, type: 'module' }),
    );
    await run('npm', 'install', '--ignore-scripts', '--prefer-offline', `./${tarball}`);
    await run('npx', '--no-install', 'millrace', 'setup');
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test('holds what it needs to run, and neither sources nor tests', () => {
    const installed = join(scratch, 'node_modules/millrace');
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
    expect(files).toEqual(
      expect.arrayContaining([
        'dist/pipelines/graphs/sotu.yaml',
        'infra/setup/extract.py',
        'infra/kafka/broker/main.mjs',
        'README.md',
        'LICENSE',
      ]),
    );
    const sources = files.filter((path) => /(?<!\.d)\.ts$|^tests|\.test\./.test(path));
    expect(sources).toEqual(['examples/drop-duplicates/drop-duplicates.ts']);
  });

  test('doctor finds all well', async () => {
    const { stdout } = await run('npx', '--no-install', 'millrace', 'doctor');
    expect(stdout).toContain('All is well.');
  });

  test('runs operators of one’s own, in TypeScript', async () => {
    const example = 'node_modules/millrace/examples/drop-duplicates/graph.yaml';
    const { stdout } = await run('npx', '--no-install', 'millrace', 'lint', example);
    expect(stdout).toContain('graph.yaml: fine');
  });

  test('the command line runs from it', async () => {
    const { stdout } = await run('npx', '--no-install', 'millrace', '--help');
    expect(stdout).toContain('millrace');
  });

  test.each(entryPoints)('%s can be imported', async (name) => {
    const script = `console.log(Object.keys(await import('${name}')).length)`;
    const { stdout } = await run(process.execPath, '--input-type=module', '--eval', script);
    expect(Number(stdout)).toBeGreaterThan(0);
  });

  test('every entry point has types', async () => {
    const lines = entryPoints.map((name, index) => `import * as entry${index} from '${name}';\nvoid entry${index};`);
    writeFileSync(join(scratch, 'consumer.ts'), lines.join('\n'));
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
    const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'NodeNext', ...types];
    const compiled = run(process.execPath, compiler, ...flags, 'consumer.ts');
    await expect(compiled).resolves.toMatchObject({ stdout: '' });
  });
});
