import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { millrace } from '../support/millrace.ts';
import { venvPython } from '../support/python-venv.ts';

/* TensorBoard's own reader finds what was written for it. */

const READER = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
run = EventAccumulator(sys.argv[1])
run.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in run.Scalars(tag)] for tag in run.Tags()["scalars"]}))
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-tensorboard-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('TensorBoard reads the series of a topic, which are gone on with where they ended', async () => {
  const steps = [1, 2, 300, 2 ** 33];
  await write(steps.slice(0, 2));
  expect((await series())['metrics/loss']).toEqual([
    [1, 0.5],
    [2, 1],
  ]);
  await write(steps.slice(2));
  expect(await series()).toEqual({
    'metrics/loss': steps.map((step) => [step, step / 2]),
    'metrics/totals/bytes': steps.map((step) => [step, 2 * step]),
  });
});

async function write(steps: readonly number[]): Promise<void> {
  const place = ['--data-dir', join(folder, 'data')];
  const lines = steps.map((step) =>
    JSON.stringify({ event: 'step', step, loss: step / 2, totals: { bytes: 2 * step } }),
  );
  const produced = await millrace(['produce', 'metrics', '-', ...place], lines.join('\n'));
  expect(produced.code, produced.stderr).toBe(0);
  const args = ['tail', 'metrics', '--tensorboard', join(folder, 'run'), '--until-end', ...place];
  const { code, stdout, stderr } = await millrace(args);
  expect(code, stderr).toBe(0);
  expect(stdout).toContain(`Wrote ${steps.length} records`);
}

async function series(): Promise<Record<string, unknown>> {
  const python = await venvPython('tensorboard-2.21.0', ['tensorboard==2.21.0', 'setuptools<81'], console.log);
  const { stdout } = await promisify(execFile)(python, ['-c', READER, join(folder, 'run')]);
  return JSON.parse(stdout);
}
