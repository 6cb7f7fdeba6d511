import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Machine } from '../../infra/index.ts';
import { presetNames, presets } from '../../model/presets.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import { engineRows } from '../../pipelines/commands/engine-rows.ts';
import { chooseEngine } from '../../pipelines/job/choose-engine.ts';
import type { ChooseEngineOptions } from '../../pipelines/job/choose-engine.ts';
import { EngineCache } from '../../pipelines/job/engine-cache.ts';
import { suitableEngine } from '../../pipelines/job/suitable-engine.ts';
import { tuneEngine } from '../../pipelines/job/tune-engine.ts';
import type { CompiledEngine, Times } from '../../pipelines/job/tune-engine.ts';
import { parseEngineWords } from '../../pipelines/spec/engine-words.ts';

/** How long a step of a made-up machine takes, and how long its start. */
type Machinery = (engine: CompiledEngine) => Partial<Times>;

/** Faster in bfloat16, with four threads, and with XLA. */
const layered: Machinery = ({ precision, threads, xla }) => ({
  stepMs: (precision === 'bf16' ? 60 : 100) * (threads === 4 ? 0.8 : 1) * (xla ? 0.7 : 1),
});

/** XLA saves a tenth, and takes so long to start. */
function saving(startMs: number): Machinery {
  return ({ xla }) => (xla ? { stepMs: 90, startMs } : {});
}

describe('tuning', () => {
  const rule: CompiledEngine = { mode: 'compiled', precision: 'bf16', xla: true, threads: 8 };

  async function tuned(
    times: Machinery,
    { bf16 = true, measurements = Infinity } = {},
  ): Promise<{ choice: unknown; tried: string[] }> {
    const tried: string[] = [];
    const { choice } = await tuneEngine({
      rule,
      threads: 8,
      bf16,
      layers: 6,
      measure: async (engine) => {
        tried.push(`${engine.precision} ${engine.threads}${engine.xla ? ' xla' : ''}`);
        return { startMs: 1000, stepMs: 100, ...times(engine) };
      },
      mayGoOn: () => tried.length < measurements,
    });
    return { choice, tried };
  }

  test('takes what is clearly faster, one setting after another', async () => {
    const { choice, tried } = await tuned(layered);
    expect(choice).toEqual({ ...rule, threads: 4 });
    expect(tried).toEqual(['f32 8', 'bf16 8', 'bf16 4', 'bf16 2', 'bf16 4 xla']);
  });

  test('keeps float32, all threads and no XLA where nothing is clearly faster', async () => {
    const { choice } = await tuned(() => ({ stepMs: 99 + Math.random() }));
    expect(choice).toEqual({ mode: 'compiled', precision: 'f32', xla: false, threads: 8 });
  });

  test('halves threads down to one', async () => {
    const { choice, tried } = await tuned(({ threads }) => ({ stepMs: 10 * threads, startMs: 1 }), { bf16: false });
    expect(choice).toMatchObject({ threads: 1, precision: 'f32' });
    expect(tried).toEqual(['f32 8', 'f32 4', 'f32 2', 'f32 1', 'f32 1 xla']);
  });

  test('takes XLA only where it pays for its start within five minutes', async () => {
    // A tenth of five minutes is 30 s; the six layers of the model start in six times the time of one.
    expect((await tuned(saving(5900))).choice).toMatchObject({ xla: true });
    expect((await tuned(saving(6100))).choice).toMatchObject({ xla: false });
  });

  test('leaves to the rule what there is no time for', async () => {
    const { choice, tried } = await tuned(({ threads }) => ({ stepMs: threads }), { measurements: 2 });
    expect(tried).toHaveLength(2);
    expect(choice).toMatchObject({ threads: 8, xla: true });
  });
});

describe('choosing', () => {
  const machine: Machine = { processor: 'made up', features: ['amx_bf16'], threads: 2, tensorflow: '9.9' };
  const { model, optimizer, schedule } = presets.nano;
  const settings: TrainerSettings = { model, optimizer, schedule, seed: 1, accumulate: 1 };
  let folder: string;
  let cache: EngineCache;
  let said: string[];
  let measured: number;
  let closed: number;
  const layers = new Set<number>();
  let options: ChooseEngineOptions;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-engines-'));
    cache = new EngineCache(join(folder, 'engines'));
    said = [];
    measured = 0;
    closed = 0;
    options = {
      preset: 'nano',
      settings,
      batch: { rows: 8, context: 64 },
      onProgress: (message) => void said.push(message),
      signal: new AbortController().signal,
      environment: {},
      cache,
      machine,
      isBusy: () => false,
      start: () => ({
        measure: async ({ engine, settings: { model: trimmed } }) => {
          measured += 1;
          layers.add(trimmed.layers);
          return { startMs: 1, stepMs: engine.mode === 'compiled' && engine.precision === 'bf16' ? 5 : 10 };
        },
        close: async () => void (closed += 1),
      }),
    };
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('measures once for a machine, preset and shape, says so, and remembers', async () => {
    const first = await chooseEngine(options);
    expect(first).toEqual({ mode: 'compiled', precision: 'bf16', xla: false, threads: 2 });
    expect(said[0]).toMatch(/^Measuring/);
    expect(said.at(-1)).toMatch(/^Chosen: compiled, bf16, without XLA, 2 threads/);
    const once = measured;
    expect(closed).toBe(2);
    expect([...layers]).toEqual([1]);
    expect(await chooseEngine({ ...options, cache: new EngineCache(join(folder, 'engines')) })).toEqual(first);
    expect(measured).toBe(once);
    await chooseEngine({ ...options, batch: { rows: 4, context: 64 } });
    await chooseEngine({ ...options, machine: { ...machine, tensorflow: '10.0' } });
    await chooseEngine({ ...options, settings: { ...settings, accumulate: 2 } });
    expect(measured).toBe(4 * once);
    expect(await readdir(join(folder, 'engines'))).toHaveLength(4);
  });

  test('measures anew where the file is damaged, or speaks of something else', async () => {
    await chooseEngine(options);
    const once = measured;
    const [file = ''] = await readdir(join(folder, 'engines'));
    const path = join(folder, 'engines', file);
    const [known] = await cache.all();
    const foreign = { ...known, key: { ...known?.key, rows: 77 } };
    for (const text of [
      '',
      '{',
      '{}',
      JSON.stringify(foreign),
      JSON.stringify({ ...known, choice: { mode: 'warp' } }),
    ]) {
      await writeFile(path, text);
      measured = 0;
      await chooseEngine(options);
      expect(measured).toBe(once);
      expect(await cache.all()).toEqual([known]);
    }
  });

  test('goes by the rule, and keeps nothing, when told so, when busy, when stopped and when measuring fails', async () => {
    const rule = suitableEngine('nano', machine);
    const stopped = AbortSignal.abort();
    const failing = { measure: () => Promise.reject(new Error('it died')), close: async () => undefined };
    expect(await chooseEngine({ ...options, environment: { MILLRACE_AUTOTUNE: 'off' } })).toEqual(rule);
    expect(said).toEqual([]);
    expect(await chooseEngine({ ...options, isBusy: () => true })).toEqual(rule);
    expect(measured).toBe(0);
    expect(await chooseEngine({ ...options, signal: stopped })).toEqual(rule);
    expect(await chooseEngine({ ...options, start: () => failing })).toEqual(rule);
    expect(said.at(-1)).toMatch(/could not be measured .* by rule: it died/);
    expect(await cache.all()).toEqual([]);
    measured = 0;
    await chooseEngine({ ...options, isBusy: () => true, environment: { MILLRACE_AUTOTUNE: 'on' } });
    expect(measured).toBeGreaterThan(0);
  });

  test('shows in the doctor what was measured here, what is by rule, and what is of no use', async () => {
    const names = presetNames.map((name) => `Engine, ${name}`);
    expect((await engineRows(cache)).map(({ name, status }) => [name, status])).toEqual(
      names.map((name) => [name, 'note']),
    );
    const { machine: _machine, ...here } = options;
    await chooseEngine({ ...here });
    await chooseEngine(options);
    const rows = await engineRows(cache);
    const [nano, others] = [rows[0], rows.at(-1)];
    expect(nano).toMatchObject({ name: 'Engine, nano', status: 'ok' });
    expect(nano?.detail).toMatch(/fastest of \d measured for 8 × 64 tokens of 512$/);
    expect(others?.detail).toMatch(/^1 measured of another machine/);
  });
});

test('the engine in words', () => {
  expect(parseEngineWords('auto')).toBe('auto');
  expect(parseEngineWords('eager')).toBe('eager');
  expect(parseEngineWords('bf16, xla,threads=4')).toEqual({ precision: 'bf16', xla: true, threads: 4 });
  expect(parseEngineWords('no-xla')).toEqual({ xla: false });
  for (const wrong of ['', 'fast', 'threads=0', 'threads=x', 'f32,,xla', 'eager,xla']) {
    expect(parseEngineWords(wrong)).toBeNull();
  }
});
