import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile, userCache } from '../../infra/index.ts';
import type { Machine } from '../../infra/index.ts';
import { engineSchema } from '../../model/settings.ts';
import type { EngineSettings } from '../../model/settings.ts';

/** What an engine was chosen for. */
export interface EngineKey {
  readonly machine: Machine;
  /** Of the code that steps are made of. */
  readonly step: string;
  readonly preset: string;
  readonly vocabSize: number;
  readonly rows: number;
  readonly context: number;
  readonly accumulate: number;
}

export interface EngineMeasurement {
  readonly engine: EngineSettings;
  readonly startMs: number;
  readonly stepMs: number;
}

export interface CachedChoice {
  readonly key: EngineKey;
  readonly choice: EngineSettings;
  readonly measured: readonly EngineMeasurement[];
}

const choiceSchema: z.ZodType<CachedChoice> = z.object({
  key: z.object({
    machine: z.object({
      processor: z.string(),
      features: z.array(z.string()),
      threads: z.int(),
      tensorflow: z.string(),
    }),
    step: z.string(),
    preset: z.string(),
    vocabSize: z.int(),
    rows: z.int(),
    context: z.int(),
    accumulate: z.int(),
  }),
  choice: engineSchema,
  measured: z.array(z.object({ engine: engineSchema, startMs: z.number(), stepMs: z.number() })),
});

/** The choices of this user's machine, one file each, named by what they are for. */
export class EngineCache {
  readonly #folder: string;

  constructor(folder: string = join(userCache(), 'engines')) {
    this.#folder = folder;
  }

  /** Null where there is none for just this; a file that is damaged, or of another version, counts as none. */
  async find(key: EngineKey): Promise<CachedChoice | null> {
    const found = await read(this.#pathOf(key));
    return found && textOf(found.key) === textOf(key) ? found : null;
  }

  /** Replaces what was there. */
  async keep(choice: CachedChoice): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await replaceFile(this.#pathOf(choice.key), `${JSON.stringify(choice, null, 2)}\n`);
  }

  /** All that can be read, of whatever machine. */
  async all(): Promise<readonly CachedChoice[]> {
    const names: readonly string[] = await readdir(this.#folder).catch(() => []);
    const choices = await Promise.all(names.toSorted().map((name) => read(join(this.#folder, name))));
    return choices.filter((choice) => choice !== null);
  }

  #pathOf(key: EngineKey): string {
    const hash = createHash('sha256').update(textOf(key)).digest('hex').slice(0, 16);
    return join(this.#folder, `${key.preset}-${hash}.json`);
  }
}

async function read(path: string): Promise<CachedChoice | null> {
  try {
    return choiceSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
}

function textOf({ machine, step, preset, vocabSize, rows, context, accumulate }: EngineKey): string {
  const { processor, features, threads, tensorflow } = machine;
  return JSON.stringify([
    [processor, features, threads, tensorflow],
    step,
    preset,
    [vocabSize, rows, context, accumulate],
  ]);
}
