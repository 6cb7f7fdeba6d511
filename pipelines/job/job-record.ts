import { z } from 'zod';
import { replaceFile } from '../../infra/index.ts';
import { engineSchema } from '../../model/settings.ts';
import type { EngineSettings } from '../../model/settings.ts';
import { tokenizerSpecSchema } from '../spec/graph.ts';
import type { Graph, TokenizerSpec } from '../spec/graph.ts';
import type { JobFolder } from './job-folder.ts';
import { readJsonFile } from './json-file.ts';

/**
 * What a job began with. Kept in its folder from before its first step, so that it is known also where a process died
 * before the first checkpoint.
 */
export interface JobRecord {
  /** Of the first weights. */
  readonly seed: number;
  readonly tokenizer: TokenizerSpec;
  readonly engine: EngineSettings;
}

const recordSchema: z.ZodType<JobRecord> = z.object({
  seed: z.int(),
  tokenizer: tokenizerSpecSchema,
  engine: engineSchema,
});

/** Null for a job that is about to begin, and for those of versions that kept no record. */
export function readJobRecord({ record }: JobFolder): Promise<JobRecord | null> {
  return readJsonFile(
    record,
    recordSchema,
    'does not say what the job began with. Remove it: the newest checkpoint tells the engine, and seed and ' +
      'tokenizer are then taken to be those of the graph.',
  );
}

export function writeJobRecord({ record: path }: JobFolder, record: JobRecord): Promise<void> {
  return replaceFile(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** Warns of settings of the graph that a job which is there no longer heeds, and says what to do. */
export function warnOfIgnored(
  { seed, tokenizer }: JobRecord,
  { model, tokenizer: wanted }: Graph,
  onWarning: (message: string) => void,
): void {
  if (model.seed !== seed) {
    onWarning(
      `model.seed is ${model.seed}, but this job's first weights were made with ${seed}, and it goes on with them. ` +
        `Set it back to ${seed}, or start a new job with --fresh.`,
    );
  }
  if (JSON.stringify(tokenizer) !== JSON.stringify(wanted)) {
    onWarning(
      `tokenizer is ${describe(wanted)}, but this job began with ${describe(tokenizer)} and keeps its vocabulary, which ` +
        'the weights belong to. Set it back, or start a new job with --fresh.',
    );
  }
}

function describe(spec: TokenizerSpec): string {
  const { kind, ...settings } = spec;
  const details = Object.entries(settings).map(([name, value]) => `${name} ${String(value)}`);
  return [kind, ...details].join(', ');
}
