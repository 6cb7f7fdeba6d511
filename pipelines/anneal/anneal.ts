import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { startTrainer } from '../../infra/index.ts';
import { rateFraction } from '../../model/schedule.ts';
import type { DecayShape } from '../../model/schedule.ts';
import { engineSchema } from '../../model/settings.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import { loadTokenizer } from '../../model/tokenizer/tokenizer.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Formats } from '../../operators/formats.ts';
import type { CheckpointInfo, Logger, TopicLog } from '../../operators/ports.ts';
import { readState } from '../../operators/stateful.ts';
import { trainStateSchema } from '../../operators/train-state.ts';
import type { Snapshot, TokenBatch } from '../../operators/types.ts';
import { configIn } from '../evaluation/saved-weights.ts';
import type { PickedWeights, SavedModel } from '../evaluation/saved-weights.ts';
import { topicsRead } from '../job/run-stream.ts';
import { trainerSettingsOf } from '../job/training-settings.ts';
import type { ModelSpec } from '../spec/graph.ts';
import { batchShapeOf } from '../spec/preset-of.ts';
import { trainingStream } from '../spec/streams.ts';
import { pastBatches } from './past-batches.ts';
import { newestSeen } from './past-text.ts';
import { writeRelease } from './write-release.ts';

export interface AnnealOptions {
  readonly model: SavedModel;
  /** Weights to begin with. */
  readonly weights: PickedWeights;
  readonly log: TopicLog;
  readonly formats: Formats;
  readonly length: { readonly steps: number } | { readonly tokens: number };
  /** Of all that was learnt, the newest so much is read; null for a little more than is needed. */
  readonly fromShare: number | null;
  readonly decay: DecayShape;
  /** Folder that releases are stored in. */
  readonly out: string;
  readonly logger: Logger;
  readonly onStep: (step: AnnealStep) => void;
  readonly signal: AbortSignal;
}

/** What one step of an annealing did. */
export interface AnnealStep {
  /** From 1. */
  readonly step: number;
  readonly loss: number;
  readonly lr: number;
  /** Done so far, and to be done. */
  readonly tokens: number;
  readonly ofTokens: number;
}

export interface Release extends Pick<CheckpointInfo, 'id' | 'path' | 'bytes'> {
  /** Path of the checkpoint that it was made from. */
  readonly from: string;
  /** Steps of the whole life of the weights. */
  readonly step: number;
  readonly steps: number;
  readonly tokens: number;
  /** How often the text was read, the last time not to its end. */
  readonly epochs: number;
  /** Means over the first and the last tenth of the steps, in nats per token. */
  readonly firstLoss: number;
  readonly lastLoss: number;
}

/** What is read by default is more than is needed by this. */
const SLACK = 1.2;

/**
 * Trains a copy of a checkpoint on text that it has learnt, while its learning rate falls to zero, and stores it as a
 * savepoint. The same checkpoint and the same log give the same weights to the bit. The job, its topics and its offsets are as
 * they were. Rejects with an `AbortError`, and leaves nothing behind, when the signal says so.
 */
export async function anneal(options: AnnealOptions): Promise<Release> {
  const { model, weights, log, formats, length, decay, out, logger, onStep, signal } = options;
  const { checkpoint, graph, jobId } = model;
  const steps = graph ? trainingStream(graph)?.[1] : undefined;
  const uid = steps?.find(({ kind }) => kind.kind === 'trainStep')?.uid ?? '';
  const snapshot = checkpoint.states.get(uid);
  if (!graph || !steps || !snapshot) {
    throw new MillraceError(
      'checkpoint-incompatible',
      `Checkpoint ${checkpoint.id} does not say which graph trained it. Use one that this version of Millrace made.`,
    );
  }
  const state = readState(uid, () => trainStateSchema.parse(snapshot.state));
  const before = readState(uid, () => z.object({ tokens: z.int() }).parse(state.trainer)).tokens;
  const tokenizer = loadTokenizer(join(checkpoint.path, 'tokenizer.json'));
  const packed = readState('batch', () =>
    shapeSchema.parse(steps.find(({ kind }) => kind.kind === 'batch')?.config ?? {}),
  );
  const batch = { ...batchShapeOf(graph.model), ...packed };
  const ofTokens = 'tokens' in length ? length.tokens : length.steps * batch.rows * batch.context;
  const share = options.fromShare ?? Math.min(1, (SLACK * ofTokens) / Math.max(1, state.totals.tokens));
  const spans = await newestSeen(log, topicsRead(steps), state.seen.watermark, share);
  const stagingDir = join(out, `.staging-${process.pid}`);
  const settings = fallingSettings(model, graph.model, { vocabSize: tokenizer.vocabSize, before, ofTokens, decay });
  const trainer = await startTrainer({ settings, stagingDir, logger });
  let epochs = 1;
  const onEpoch = (read: number): void => void (epochs = read + 1);
  const batches = pastBatches({ log, spans, steps, tokenizer, formats, batch, jobId, onEpoch });
  try {
    await trainer.restore(beginningWith(weights, { ...snapshot, state: state.trainer }), state.vocabulary);
    const losses: number[] = [];
    let tokens = 0;
    let [step, skipped] = [state.step, 0];
    for await (const next of batches) {
      signal.throwIfAborted();
      const result = await trainer.step(next);
      tokens += countedIn(next);
      step = result.step;
      if (result.skipped) skipped += 1;
      else losses.push(result.loss);
      onStep({ step: losses.length + skipped, loss: result.loss, lr: result.lr, tokens, ofTokens });
      if (tokens >= ofTokens) break;
    }
    signal.throwIfAborted();
    const { state: annealed, files = [] } = await trainer.snapshot();
    // It has the tokens of its vocabulary now, if it had those of another.
    const { vocabulary: _vocabulary, ...kept } = z.record(z.string(), z.json()).parse(snapshot.state);
    const trained = { state: { ...kept, step, trainer: annealed }, files };
    const made = { steps: losses.length + skipped, tokens, decay, share, epochs, merged: [...weights.of] };
    const { id, path, bytes } = await writeRelease({ model, uid, trained, made, out, logger });
    const tenth = Math.max(1, Math.floor(losses.length / 10));
    return {
      id,
      path,
      bytes,
      from: checkpoint.path,
      step,
      steps: made.steps,
      tokens,
      epochs,
      firstLoss: meanOf(losses.slice(0, tenth)),
      lastLoss: meanOf(losses.slice(-tenth)),
    };
  } finally {
    await batches.return(undefined);
    await trainer.close();
    await rm(stagingDir, { recursive: true, force: true });
  }
}

const shapeSchema = z.object({ rows: z.int().exactOptional(), context: z.int().exactOptional() });

/** Settings under which the rate falls from where it was at the checkpoint to zero. */
function fallingSettings(
  { checkpoint, describe }: SavedModel,
  spec: ModelSpec,
  to: { readonly vocabSize: number; readonly before: number; readonly ofTokens: number; readonly decay: DecayShape },
): TrainerSettings {
  const { vocabSize, before, ofTokens, decay } = to;
  const settings = trainerSettingsOf(spec, { vocabSize, seed: spec.seed });
  const learningRate = settings.optimizer.learningRate * rateFraction(settings.schedule, before);
  if (learningRate === 0) {
    throw new MillraceError(
      'bad-usage',
      `The learning rate of checkpoint ${checkpoint.id} is zero: it has not begun, or its schedule is over, and it is a release already.`,
    );
  }
  return {
    ...settings,
    model: configIn(describe, checkpoint.id),
    engine: engineSchema.safeParse(describe['engine']).data,
    optimizer: { ...settings.optimizer, learningRate },
    schedule: {
      warmupTokens: 0,
      totalTokens: before + ofTokens,
      decayTokens: ofTokens,
      decay,
      finalFraction: 0,
    },
  };
}

/** A mean of checkpoints takes the place of the weights, and a running mean begins with it. */
function beginningWith({ path, of, which }: PickedWeights, snapshot: Snapshot): Snapshot {
  if (of.length === 1 && which === 'last') return snapshot;
  const files = (snapshot.files ?? []).filter(({ name }) => name !== 'ema.safetensors');
  return { ...snapshot, files: files.map((file) => (file.name === 'weights.safetensors' ? { ...file, path } : file)) };
}

function countedIn({ lossMask }: TokenBatch): number {
  return lossMask.reduce((sum, counted) => sum + counted, 0);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
