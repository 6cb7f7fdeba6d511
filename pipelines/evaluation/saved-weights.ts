import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { modelConfigSchema } from '../../model/config.ts';
import type { ModelConfig } from '../../model/config.ts';
import { mergeWeights } from '../../model/weights/merge-weights.ts';
import { writeWeights } from '../../model/weights/weights-file.ts';
import { readManifest } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Checkpoint, Logger } from '../../operators/ports.ts';
import type { Json } from '../../operators/types.ts';
import { currentJob, dataFolder } from '../job/job-folder.ts';
import { checkpointIds, inspectCheckpoint, trainedIn } from '../job/saved-checkpoints.ts';
import { spokenWeights } from '../job/spoken-weights.ts';
import { idNamed } from '../promotion/snapshots.ts';
import type { Graph } from '../spec/graph.ts';
import { counted } from '../terminal/format.ts';
import { readFork } from '../redeploy/fork-job.ts';
import type { Fork } from '../redeploy/fork-job.ts';

/** A checkpoint that somebody has named, every byte of which has been read. */
export interface SavedModel extends Fork {
  readonly jobId: string;
  readonly step: number;
}

/** Which weights of a checkpoint: those of the last step, the running mean, or those that speak by its graph. */
export type WhichWeights = 'last' | 'ema' | 'spoken';

/** Weights of a checkpoint, or the mean of several. */
export interface PickedWeights {
  readonly path: string;
  readonly which: 'last' | 'ema';
  /** Ids of the checkpoints that they are of, oldest first. */
  readonly of: readonly string[];
  /** Removes what was made for them. */
  dispose(): Promise<void>;
}

/**
 * The checkpoint of a folder, or of the data folder's job by its id or number: the newest that is intact where nothing is named. Rejects with
 * `bad-usage` where there is none, and with `checkpoint-corrupt`.
 */
export async function savedModel(dataDir: string, named: string | undefined, logger: Logger): Promise<SavedModel> {
  const path = named !== undefined && isFolder(named) ? resolve(named) : await checkpointOf(dataDir, named ?? null);
  const fork = await readFork(path, null, logger);
  const manifest = await readManifest(path);
  const step = trainedIn(manifest)?.step;
  if (step !== undefined) return { ...fork, jobId: manifest.jobId, step };
  throw new MillraceError('bad-usage', `Checkpoint ${path} holds no weights. Name one of a stream that trains.`);
}

/** The model that a checkpoint says it is of. Throws `checkpoint-incompatible` where it does not. */
export function configIn(describe: Readonly<Record<string, Json>>, id: string): ModelConfig {
  const parsed = modelConfigSchema.safeParse(describe['model']);
  if (parsed.success) return parsed.data;
  throw new MillraceError(
    'checkpoint-incompatible',
    `Checkpoint ${id} does not say what model it is of. Use one that Millrace made.`,
    { cause: parsed.error },
  );
}

function isFolder(named: string): boolean {
  return existsSync(join(named, 'manifest.json'));
}

async function checkpointOf(dataDir: string, named: string | null): Promise<string> {
  const job = currentJob(dataFolder(dataDir));
  const ids = job ? await checkpointIds(job) : [];
  const isIntact = async (id: string): Promise<boolean> =>
    job !== null && (await inspectCheckpoint(job, id, true))?.condition === 'intact';
  const id = named === null ? await newestOf(ids, isIntact) : idNamed(ids, named);
  if (job && id !== undefined) return join(job.checkpoints, id);
  const problem = named === null ? `There is no checkpoint in ${dataDir} yet` : `There is no checkpoint ${named}`;
  const advice = 'millrace checkpoints lists those of a job (--data-dir), and a folder is named by its path';
  throw new MillraceError('bad-usage', `${problem}: ${advice}.`);
}

async function newestOf(ids: readonly string[], fits: (id: string) => Promise<boolean>): Promise<string | undefined> {
  for (const id of ids.toReversed()) if (await fits(id)) return id;
  return undefined;
}

/**
 * The weights of a checkpoint, or with `merge` the mean of those of as many checkpoints beside it, up to it: no two of the same
 * step. Rejects with `bad-usage` where there are not as many, or no running mean.
 */
export async function pickWeights(
  { checkpoint, graph }: { readonly checkpoint: Pick<Checkpoint, 'path'>; readonly graph: Pick<Graph, 'model'> | null },
  wanted: WhichWeights,
  merge: number,
): Promise<PickedWeights> {
  const folders = await foldersToMerge(checkpoint.path, merge);
  const named = { last: { speak: 'last' }, ema: { speak: 'ema' }, spoken: graph?.model ?? {} } as const;
  const paths = folders.map((folder) => spokenWeights(folder, named[wanted]));
  const isMean = paths.map((path) => basename(path) === 'ema.safetensors');
  if (wanted === 'ema' && isMean.includes(false)) {
    throw new MillraceError(
      'bad-usage',
      `Checkpoint ${basename(folders[isMean.indexOf(false)] ?? '')} has no running mean of the weights: its graph did not say ` +
        'model: { ema }. Leave out --weights ema.',
    );
  }
  const of = folders.map((folder) => basename(folder));
  const which = isMean.every(Boolean) ? 'ema' : 'last';
  const [only = ''] = paths;
  if (paths.length === 1) return { path: only, which, of, dispose: async () => undefined };
  const folder = await mkdtemp(join(tmpdir(), 'millrace-merged-'));
  const dispose = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'weights.safetensors');
    writeWeights(path, mergeWeights(paths));
    return { path, which, of, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Of checkpoints of one step, the newest. */
async function foldersToMerge(path: string, merge: number): Promise<readonly string[]> {
  if (merge === 1) return [path];
  const directory = dirname(path);
  const ids = (await checkpointIds({ checkpoints: directory })).filter((id) => id <= basename(path));
  const byStep = new Map<number, string>();
  for (const id of ids) {
    const manifest = await readManifest(join(directory, id));
    byStep.set(trainedIn(manifest)?.step ?? -1, id);
  }
  const wanted = [...byStep.values()].slice(-merge);
  if (wanted.length === merge) return wanted.map((id) => join(directory, id));
  throw new MillraceError(
    'bad-usage',
    `The checkpoints up to ${basename(path)} are of ${counted(wanted.length, 'step')}, and those of ${merge} are to be merged. ` +
      'Merge fewer; checkpoint: { keep } says how many stay.',
  );
}
