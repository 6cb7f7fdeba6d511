import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fixture = join(root, 'tests/fixtures/setup');
const realPython = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

/** Set-up of the engine with stand-ins for pip, compiler and npm, in a folder of its own. */
class Bench {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'millrace-setup-'));
  readonly cache: string = join(this.dir, 'cache');
  readonly packageDir: string = join(this.dir, 'node_modules/@tensorflow/tfjs-node');
  readonly #callsFile: string = join(this.dir, 'calls');
  readonly #wheelFile: string;

  constructor(wheelFile: string) {
    this.#wheelFile = wheelFile;
    cpSync(join(fixture, 'tfjs-node'), this.packageDir, { recursive: true });
    writeFileSync(this.#callsFile, '');
  }

  /** What the stand-ins were asked for, `version` left out. */
  get calls(): string[] {
    return readFileSync(this.#callsFile, 'utf8')
      .split('\n')
      .filter((call) => call !== '' && call !== 'version');
  }

  get bundle(): string {
    return join(this.cache, 'tensorflow-test-1.0.0-anywhere');
  }

  start(env: NodeJS.ProcessEnv = {}, ...flags: string[]): ChildProcess {
    const content = readFileSync(this.#wheelFile);
    const wheel = {
      package: 'tensorflow-test',
      version: '1.0.0',
      platform: 'anywhere',
      bytes: content.byteLength,
      sha256: createHash('sha256').update(content).digest('hex'),
      libraries: ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'],
    };
    const settings = JSON.stringify({ wheel, cache: this.cache, packageDir: this.packageDir });
    return spawn(process.execPath, [join(fixture, 'run-setup.mjs'), settings, ...flags], {
      env: {
        PATH: [join(fixture, 'bin'), dirname(process.execPath)].join(delimiter),
        MILLRACE_CACHE: this.cache,
        FAKE_CALLS: this.#callsFile,
        FAKE_WHEEL: this.#wheelFile,
        REAL_PYTHON: realPython,
        ...env,
      },
    });
  }

  run(env?: NodeJS.ProcessEnv, ...flags: string[]): Promise<Ended> {
    return ended(this.start(env, ...flags));
  }

  /** Starts a set-up, kills it in the middle of a job of the stand-in for Python, and leaves things as they are then. */
  async killDuring(job: 'download' | 'extract'): Promise<void> {
    const child = this.start({ FAKE_SLOW: job });
    await vi.waitUntil(() => this.calls.includes(job), { timeout: 20_000 });
    child.kill('SIGKILL');
    await ended(child);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

describe('set-up of the engine', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-wheel-'));
  const wheelFile = join(scratch, 'tensorflow_test-1.0.0-anywhere.whl');
  let bench: Bench;

  beforeAll(() => {
    const script = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as wheel:
    wheel.writestr('tensorflow/libtensorflow_cc.so.2', 'c' * 100000)
    wheel.writestr('tensorflow/libtensorflow_framework.so.2', 'f' * 1000)
    wheel.writestr('tensorflow/include/tensorflow/c/c_api.h', '// C API')
    wheel.writestr('tensorflow/python/keras.py', 'not wanted')
`;
    execFileSync(realPython, ['-c', script, wheelFile]);
  });
  beforeEach(() => {
    bench = new Bench(wheelFile);
  });
  afterEach(() => bench.remove());
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test('puts libraries and addon into the cache and links to them', async () => {
    expect(await bench.run()).toMatchObject({ code: 0, stdout: '' });
    expect(bench.calls).toEqual(['download', 'extract', 'compile']);
    const library = join(bench.packageDir, 'deps/lib/libtensorflow_framework.so.2');
    expect(realpathSync(library)).toBe(realpathSync(join(bench.bundle, 'lib/libtensorflow_framework.so.2')));
    expect(readFileSync(join(bench.packageDir, 'lib/napi-v8/tfjs_binding.node'), 'utf8')).toBe('an addon');
    expect(readFileSync(join(bench.bundle, 'include/tensorflow/c/c_api.h'), 'utf8')).toBe('// C API');
    expect(readdirSync(bench.bundle).toSorted()).toEqual(['bundle.json', 'include', 'lib']);
    expect(readdirSync(bench.cache)).not.toContain('lock');
  });

  test('says and does nothing when all is there', async () => {
    await bench.run();
    const calls = bench.calls;
    expect(await bench.run()).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(bench.calls).toEqual(calls);
  });

  test('makes only links for a second project', async () => {
    await bench.run();
    rmSync(join(bench.packageDir, 'deps'), { recursive: true });
    rmSync(join(bench.packageDir, 'lib'), { recursive: true });
    expect((await bench.run()).code).toBe(0);
    expect(bench.calls).toEqual(['download', 'extract', 'compile']);
    expect(existsSync(join(bench.packageDir, 'lib/napi-v8/tfjs_binding.node'))).toBe(true);
  });

  test('downloads again after it was killed in a download', async () => {
    await bench.killDuring('download');
    expect(existsSync(bench.bundle)).toBe(false);
    expect((await bench.run()).code).toBe(0);
    expect(bench.calls).toEqual(['download', 'download', 'extract', 'compile']);
    expect(readdirSync(join(bench.cache, 'tmp'))).toEqual([]);
  });

  test('uses the finished download after it was killed while unpacking', async () => {
    await bench.killDuring('extract');
    expect(existsSync(bench.bundle)).toBe(false);
    expect((await bench.run()).code).toBe(0);
    expect(bench.calls).toEqual(['download', 'extract', 'extract', 'compile']);
  });

  test('refuses a download whose hash is wrong, and forgets it', async () => {
    const damaged = join(bench.dir, 'damaged.whl');
    cpSync(wheelFile, damaged);
    appendFileSync(damaged, 'x');
    const { code, stderr } = await bench.run({ FAKE_WHEEL: damaged });
    expect(code).toBe(1);
    expect(stderr).toContain('is damaged: its SHA-256 is not');
    expect((await bench.run()).code).toBe(0);
  });

  test('two at once share one download', async () => {
    const both = await Promise.all([bench.run({ FAKE_SLOW: 'download' }), bench.run({ FAKE_SLOW: 'download' })]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(both.map(({ stderr }) => stderr).join('')).toContain('waiting for another set-up to end (process ');
    expect(bench.calls).toEqual(['download', 'extract', 'compile']);
  });

  test('replaces a library that was cut short', async () => {
    await bench.run();
    writeFileSync(join(bench.bundle, 'lib/libtensorflow_cc.so.2'), 'c');
    expect((await bench.run()).code).toBe(0);
    expect(readFileSync(join(bench.bundle, 'lib/libtensorflow_cc.so.2'), 'utf8')).toBe('c'.repeat(100_000));
  });

  test('finds by hash what has the right size, when asked to be thorough', async () => {
    await bench.run();
    writeFileSync(join(bench.bundle, 'lib/libtensorflow_cc.so.2'), 'x'.repeat(100_000));
    expect((await bench.run({}, '--thorough')).code).toBe(0);
    expect(readFileSync(join(bench.bundle, 'lib/libtensorflow_cc.so.2'), 'utf8')).toBe('c'.repeat(100_000));
  });

  test('passes on what pip says, without a stack', async () => {
    const { code, stderr } = await bench.run({ FAKE_WHEEL: '' });
    expect(code).toBe(1);
    expect(stderr).toContain('No matching distribution found');
    expect(stderr).toMatch(/To mend it: check the network .* npx millrace setup/);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  test('passes on what the compiler says, and compiles again next time', async () => {
    const { code, stderr } = await bench.run({ FAKE_COMPILER: 'broken' });
    expect(code).toBe(1);
    expect(stderr).toContain('no such header');
    expect(stderr).toContain('CXX=');
    expect((await bench.run()).code).toBe(0);
    expect(bench.calls).toEqual(['download', 'extract', 'compile', 'compile']);
  });

  test("without compiler and pip tries tfjs-node's own installer, then names what to install", async () => {
    const onlyNpm = join(bench.dir, 'bin');
    cpSync(join(fixture, 'bin/npm'), join(onlyNpm, 'npm'));
    const { code, stderr } = await bench.run({ PATH: onlyNpm });
    expect(code).toBe(1);
    expect(bench.calls).toEqual(['rebuild']);
    expect(stderr).toContain("there is no C++ compiler and no Python's pip: trying tfjs-node's own installer");
    expect(stderr).toMatch(/To mend it: .*(install|pacman)/);
  });
});

describe('millrace doctor', () => {
  const command = join(root, 'pipelines/millrace.mjs');
  const doctor = (args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
    ended(spawn(process.execPath, [command, 'doctor', ...args], { env: { ...process.env, ...env } }));

  test('finds all well where the tests run', async () => {
    const { code, stdout } = await doctor([]);
    expect(stdout).toMatch(/✓ TensorFlow +2\.21\.0 loads and computes/);
    expect(stdout).toMatch(/Engine, nano +\S/);
    expect(stdout).toContain('All is well.');
    expect(code).toBe(0);
  });

  test('names the command that mends what is missing', async () => {
    const { code, stdout } = await doctor(['--json'], { MILLRACE_CACHE: join(tmpdir(), 'millrace-no-such-cache') });
    const report: unknown = JSON.parse(stdout);
    expect(code).toBe(1);
    expect(report).toMatchObject({
      ok: false,
      checks: expect.arrayContaining([
        expect.objectContaining({ name: 'Node modules', status: 'ok' }),
        expect.objectContaining({ name: 'TensorFlow libraries', status: 'missing', mend: 'npx millrace setup' }),
        expect.objectContaining({ name: 'Processor', status: 'ok' }),
      ]),
    });
  });

  test('refuses what it does not know', async () => {
    const { code, stderr } = await doctor(['--jsn']);
    expect(code).toBe(2);
    expect(stderr).toContain('knows no --jsn');
  });
});
