import { expect, test } from 'vitest';
import { engineEnvironment } from '../../infra/processes/engine-environment.ts';
import { suitableEngine } from '../../pipelines/job/suitable-engine.ts';

const compiled = { mode: 'compiled', precision: 'f32', xla: false } as const;

test('threads are as many as the engine names, and TensorFlow chooses where it names none', () => {
  const one = { TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '1' };
  expect(engineEnvironment({ ...compiled, threads: 1 }, {})).toMatchObject(one);
  expect(engineEnvironment(compiled, {})).not.toHaveProperty('TF_NUM_INTRAOP_THREADS');
  expect(engineEnvironment(undefined, {})).not.toHaveProperty('TF_NUM_INTRAOP_THREADS');
});

test('memory is kept from step to step', () => {
  expect(engineEnvironment({ mode: 'eager' }, {})).toMatchObject({ MALLOC_MMAP_MAX_: '0' });
});

test('what the user has set stays', () => {
  const own = { GLIBC_TUNABLES: 'glibc.malloc.check=3', TF_NUM_INTRAOP_THREADS: '2' };
  const environment = engineEnvironment({ ...compiled, threads: 1 }, own);
  expect(environment).not.toHaveProperty('GLIBC_TUNABLES');
  expect(environment).not.toHaveProperty('TF_NUM_INTRAOP_THREADS');
  expect(environment).toHaveProperty('TF_NUM_INTEROP_THREADS', '1');
});

test('the rule of thumb: bfloat16 where the processor has it, and one thread for steps too small to be shared out', () => {
  const machine = { processor: 'of a test', features: ['amx_bf16'], threads: 6, tensorflow: '' };
  expect(suitableEngine('nano', machine)).toEqual({ mode: 'compiled', precision: 'bf16', xla: false, threads: 1 });
  expect(suitableEngine('small', machine)).toEqual({ mode: 'compiled', precision: 'bf16', xla: true, threads: 6 });
  expect(suitableEngine('base', { ...machine, features: ['avx2'] })).toMatchObject({ precision: 'f32', threads: 6 });
});
