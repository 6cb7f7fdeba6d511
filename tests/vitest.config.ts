import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import type { TestProjectInlineConfiguration, ViteUserConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A folder of tests. Those of one stage run side by side; a later stage waits for the earlier ones. */
function suite(
  name: string,
  timeoutMs: number,
  stage: { order: number; workers: number },
): TestProjectInlineConfiguration {
  return {
    extends: true,
    test: {
      name,
      include: [`tests/${name}/**/*.test.ts`],
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      maxWorkers: stage.workers,
      sequence: { groupOrder: stage.order },
    },
  };
}

const inProcess = { order: 0, workers: 2 };
/** These start processes of their own, and mostly wait for them; more than two at once would take each other's time. */
const wholeJobs = { order: 1, workers: 2 };

const config: ViteUserConfig = defineConfig({
  root,
  test: {
    // TensorFlow's binding keeps state per process and is not safe in worker threads.
    pool: 'forks',
    // What a busy machine measures is chance, and tests leave the user's cache alone.
    env: { TF_CPP_MIN_LOG_LEVEL: '2', MILLRACE_AUTOTUNE: 'off' },
    reporters: ['default'],
    projects: [
      suite('unit', 20_000, inProcess),
      suite('contract', 30_000, inProcess),
      suite('numerics', 60_000, inProcess),
      suite('integration', 180_000, wholeJobs),
      suite('chaos', 300_000, wholeJobs),
      // Beside programs of others, in Python, which are fetched from PyPI the first time: `npm run test:interop`.
      ...(process.env['MILLRACE_INTEROP'] ? [suite('interop', 600_000, wholeJobs)] : []),
    ],
  },
});

export default config;
