import { z } from 'zod';
import type { ScheduleSettings } from '../../model/schedule.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import type { Graph, ModelSpec } from '../spec/graph.ts';
import type { ScheduleSpec } from '../spec/schedule.ts';
import { batchShapeOf, presetOf } from '../spec/preset-of.ts';
import { chooseEngine } from './choose-engine.ts';
import { engineOfCheckpoints, settleEngine } from './job-engine.ts';
import type { JobFolder } from './job-folder.ts';
import { tokenizerFile } from './vocabulary.ts';
import { readJobRecord, warnOfIgnored, writeJobRecord } from './job-record.ts';

export interface TrainingSettings {
  readonly settings: TrainerSettings;
  /** Shape of a batch where the graph names none. */
  readonly batch: { readonly rows: number; readonly context: number };
}

export interface TrainingSettingsOptions {
  readonly graph: Graph;
  readonly folder: JobFolder;
  readonly vocabSize: number;
  readonly onWarning: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * What a job trains with. Holds it to what it began with, warns of what the graph says otherwise, and settles its engine:
 * all before its first step.
 */
export async function settleTraining(options: TrainingSettingsOptions): Promise<TrainingSettings> {
  const { graph, folder, vocabSize, onWarning, signal } = options;
  const { model: spec } = graph;
  const record = await readJobRecord(folder);
  const isLater = tokenizerFile(folder, graph.tokenizer) !== folder.tokenizer;
  if (record) warnOfIgnored(isLater ? { ...record, tokenizer: graph.tokenizer } : record, graph, onWarning);
  const { seed, tokenizer } = record ?? { seed: spec.seed, tokenizer: graph.tokenizer };
  const settings = trainerSettingsOf(spec, { vocabSize, seed });
  const batch = batchShapeOf(spec);
  const shape = { ...batch, ...batchOf(graph) };
  const engine = await settleEngine({
    wanted: spec.engine,
    used: (await engineOfCheckpoints(folder)) ?? record?.engine ?? null,
    choose: () => chooseEngine({ preset: spec.preset, settings, batch: shape, onProgress: onWarning, signal }),
    onWarning,
    environment: process.env,
  });
  await writeJobRecord(folder, { seed, tokenizer, engine });
  return { settings: { ...settings, engine }, batch };
}

/** What the model of a graph is trained with, but for its engine. */
export function trainerSettingsOf(
  spec: ModelSpec,
  { vocabSize, seed }: { readonly vocabSize: number; readonly seed: number },
): Omit<TrainerSettings, 'engine'> {
  const { model, optimizer, schedule } = presetOf(spec);
  return {
    model: { ...model, vocabSize },
    seed,
    optimizer: { ...optimizer, ...(spec.learningRate ? { learningRate: spec.learningRate } : {}) },
    schedule: scheduleOf(schedule, spec.schedule),
    accumulate: spec.accumulate,
    ema: spec.ema,
    // Where a changed graph may not, its plan has said so.
    grows: true,
  };
}

/** A preset's schedule, which is endless, with the end that a graph plans. */
function scheduleOf(endless: ScheduleSettings, spec: ScheduleSpec | undefined): ScheduleSettings {
  if (!spec) return endless;
  const { tokens, decayShare, decay, warmupTokens = endless.warmupTokens } = spec;
  const decayTokens = Math.max(1, Math.round(tokens * decayShare));
  return { warmupTokens, totalTokens: tokens, decayTokens, decay, finalFraction: 0 };
}

const shapeSchema = z.object({ rows: z.int().exactOptional(), context: z.int().exactOptional() });

/** What the graph's training stream says of the shape of batches. */
function batchOf({ streams }: Graph): { readonly rows?: number; readonly context?: number } {
  const steps = Object.values(streams).find((stream) => stream.some(({ kind }) => kind.kind === 'trainStep')) ?? [];
  const parsed = shapeSchema.safeParse(steps.find(({ kind }) => kind.kind === 'batch')?.config);
  return parsed.success ? parsed.data : {};
}
