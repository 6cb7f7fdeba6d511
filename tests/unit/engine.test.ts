import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { loadEngine, tf } from '../../model/tf.ts';

const require = createRequire(import.meta.url);

test('the engine is loaded once', () => {
  expect(loadEngine(require)).toBe(tf);
});

test('a missing engine is an error that says what to do', () => {
  const cause = new Error('Cannot find module');
  const failing = Object.assign((): never => {
    throw cause;
  }, require);
  expect(() => loadEngine(failing)).toThrow(
    expect.objectContaining({ code: 'engine-missing', cause, message: expect.stringContaining('npx millrace setup') }),
  );
});
