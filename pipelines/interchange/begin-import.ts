import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpointStore } from '../../infra/index.ts';
import { openHuggingFace } from '../../model/interchange/hugging-face-import.ts';
import type { ImportedModel } from '../../model/interchange/hugging-face-import.ts';
import { writeTokenizerFile } from '../../model/tokenizer/tokenizer-file.ts';
import { streamWeights } from '../../model/weights/weights-file.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { TrainState } from '../../operators/train-state.ts';
import { nothingSeen } from '../../operators/watermark.ts';
import { makeCurrentJob, newJob } from '../job/job-folder.ts';
import type { DataFolder, JobFolder, LogKind } from '../job/job-folder.ts';
import type { Graph, ImportSpec } from '../spec/graph.ts';
import { trainingStream } from '../spec/streams.ts';
import { version } from '../version.ts';

export interface BeginImportOptions {
  readonly data: DataFolder;
  readonly kind: LogKind;
  readonly graph: Graph;
  readonly imported: ImportSpec;
  readonly onWarning: (message: string) => void;
}

const UNTOUCHED = { format: 1, steps: 0, updates: 0, tokens: 0 };
const WEIGHTS = 'weights.safetensors';

/**
 * Begins a job whose first checkpoint has the weights and the tokenizer of a Hugging Face folder. It is the data folder's job
 * only when all of it is written; until then the one before is. Rejects as `openHuggingFace` throws, and with `bad-usage`
 * where the graph trains nothing.
 */
export async function beginImport(options: BeginImportOptions): Promise<JobFolder> {
  const { data, kind, imported, onWarning } = options;
  const model = openHuggingFace(imported.path);
  try {
    const job = newJob(data, kind);
    try {
      await writeFirst(job, model, options);
    } catch (error) {
      await rm(job.root, { recursive: true, force: true });
      throw error;
    }
    makeCurrentJob(data, job);
    if (model.rowsLeftOut > 0) {
      onWarning(`${model.rowsLeftOut} rows of the embedding that no token has were left out.`);
    }
    return job;
  } finally {
    model.close();
  }
}

async function writeFirst(
  job: JobFolder,
  model: ImportedModel,
  { graph, imported, onWarning }: BeginImportOptions,
): Promise<void> {
  const uid = trainingStream(graph)?.[1].find(({ kind }) => kind.kind === 'trainStep')?.uid;
  if (uid === undefined) {
    throw new MillraceError(
      'bad-usage',
      'The graph trains nothing, so it has no use for a model. Give it a trainStep.',
    );
  }
  writeTokenizerFile(job.tokenizer, model.tokenizer);
  await mkdir(job.staging, { recursive: true });
  const path = join(job.staging, WEIGHTS);
  await streamWeights(path, model.config, (name) => model.take(name));
  const state = {
    step: 0,
    totals: { tokens: 0, bytes: 0, bits: 0 },
    sources: {},
    seen: { ...nothingSeen },
    waiting: [],
    setAside: [],
    trainer: UNTOUCHED,
  } satisfies TrainState;
  const store = await openCheckpointStore(job.checkpoints, {
    jobId: job.id,
    logger: { info: () => {}, warn: onWarning },
    describe: { millrace: version, model: { ...model.config }, imported: imported.path },
    files: [{ name: 'tokenizer.json', path: job.tokenizer }],
  });
  await store.put({ reason: 'timer', states: new Map([[uid, { state, files: [{ name: WEIGHTS, path }] }]]) });
}
