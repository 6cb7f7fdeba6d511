import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { readWeights } from '../../model/weights/weights-file.ts';
import { startTransformers, writeModel } from '../bench/speakers.ts';
import type { TransformersSpeaker } from '../bench/speakers.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import { venvPython } from '../support/python-venv.ts';

/* EleutherAI's lm-evaluation-harness asks a job over HTTP, by its model `local-completions`. */

const TASKS = fileURLToPath(new URL('lm-eval', import.meta.url));
const SENTENCES = 'the mill turns the wheel. the wheel grinds the corn. the corn feeds the town. ';
/** In float32 on both sides. */
const ENGINE = ['--engine', 'f32,no-xla'];
const END_OF_TEXT = 256;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-lm-eval-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const checkpointSchema = z.looseObject({ path: z.string() });
const listeningSchema = z.looseObject({ url: z.string(), model: z.string() });
const resultsSchema = z.looseObject({
  results: z.object({
    millrace_choice: z.looseObject({ 'acc,none': z.number() }),
    millrace_words: z.looseObject({ 'exact_match,none': z.number() }),
  }),
});
const sampleSchema = z.looseObject({
  doc: z.looseObject({ prompt: z.string(), choices: z.array(z.string()) }),
  /** Log-likelihood of each choice, and whether it is what the model would say. */
  filtered_resps: z.array(z.tuple([z.coerce.number(), z.unknown()])),
});
type Sample = z.output<typeof sampleSchema>;

test('the harness scores and generates, with the log-likelihoods that transformers finds in the weights', async () => {
  const weights = await trained();
  const run = new Millrace([
    'up',
    join(folder, 'graph.yaml'),
    '--data-dir',
    folder,
    '--json',
    '--http',
    '0',
    ...ENGINE,
  ]);
  try {
    const { url, model } = listeningSchema.parse(JSON.parse(await run.line((line) => line.includes('"listening"'))));
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 60_000 }).toBe(200);
    await harness(url, model);
  } finally {
    run.kill('SIGINT');
    await run.finished;
  }

  const { results } = resultsSchema.parse(JSON.parse(await written(/^results_.*\.json$/)));
  expect(results.millrace_choice['acc,none']).toBe(1);
  expect(results.millrace_words['exact_match,none']).toBe(1);

  const lines = (await written(/^samples_millrace_choice_.*\.jsonl$/)).trim().split('\n');
  const samples = lines.map((line) => sampleSchema.parse(JSON.parse(line)));
  expect(samples).toHaveLength(3);
  const { config, weights: values } = readWeights(weights);
  const theirs = await startTransformers('transformers', writeModel(folder, config, values), 'dynamic');
  try {
    for (const sample of samples) await requireSameLikelihoods(sample, theirs);
  } finally {
    await theirs.close();
  }
});

/** Trains a job to the end of its text; resolves with the file of its weights. */
async function trained(): Promise<string> {
  const graph = join(folder, 'graph.yaml');
  await writeFile(graph, jobGraph({ name: 'learned' }));
  const texts = Array.from({ length: 200 }, () => SENTENCES.repeat(10));
  await millrace(['produce', 'text', '-', '--data-dir', folder], texts.join('\n'));
  const args = ['up', graph, '--data-dir', folder, '--json', '--until-idle', '2s', ...ENGINE];
  const { code, stdout, stderr } = await millrace(args);
  expect(code, stderr).toBe(0);
  const last = stdout.split('\n').findLast((line) => line.startsWith('{"event":"checkpoint"'));
  return join(checkpointSchema.parse(JSON.parse(last ?? '{}')).path, 'weights.safetensors');
}

async function harness(url: string, model: string): Promise<void> {
  const file = join(TASKS, 'requirements.txt');
  const python = await venvPython('lm-eval-0.4.13', { file }, console.log);
  const args = {
    model,
    base_url: `${url}/v1/completions`,
    tokenizer_backend: 'remote',
    // Of the context, one token is the end-of-text in front, and one is said behind what is scored.
    max_length: 63,
    num_concurrent: 4,
  };
  const modelArgs = Object.entries(args).map(([name, value]) => `${name}=${value}`);
  const offline = { HF_HUB_OFFLINE: '1', HF_DATASETS_OFFLINE: '1', HF_EVALUATE_OFFLINE: '1' };
  const asked = ['--model', 'local-completions', '--model_args', modelArgs.join(',')];
  const tasks = ['--tasks', 'millrace_choice,millrace_words', '--include_path', TASKS];
  const output = ['--output_path', join(folder, 'out'), '--log_samples'];
  await promisify(execFile)(python, ['-m', 'lm_eval', ...asked, ...tasks, ...output], {
    cwd: TASKS,
    env: { ...process.env, ...offline, HF_HOME: join(folder, 'hugging-face') },
  });
}

/** The file of that name that the harness has written. */
async function written(name: RegExp): Promise<string> {
  const files = await readdir(join(folder, 'out'), { recursive: true, withFileTypes: true });
  const found = files.find((file) => name.test(file.name));
  return readFile(join(found?.parentPath ?? '', found?.name ?? ''), 'utf8');
}

async function requireSameLikelihoods(
  { doc, filtered_resps: responses }: Sample,
  theirs: TransformersSpeaker,
): Promise<void> {
  for (const [at, choice] of doc.choices.entries()) {
    const [context, ending] = [Buffer.from(doc.prompt), Buffer.from(choice)];
    const tokens = Int32Array.from([END_OF_TEXT, ...context, ...ending]);
    const logits = await theirs.logits(tokens);
    const first = context.length + 1;
    const expected = [...ending].reduce((sum, token, behind) => {
      return sum + logProbability(logits[first + behind - 1] ?? [], token);
    }, 0);
    expect(responses[at]?.[0], choice).toBeCloseTo(expected, 3);
  }
}

function logProbability(logits: readonly number[], token: number): number {
  const greatest = Math.max(...logits);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - greatest), 0);
  return (logits[token] ?? Number.NaN) - greatest - Math.log(total);
}
