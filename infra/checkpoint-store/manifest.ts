import { createHash } from 'node:crypto';
import { readFile, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import type { CutReason, Json } from '../../operators/types.ts';
import { writeFlushed } from '../durable-files.ts';

const MANIFEST = 'manifest.json';
/** In the format of `sha256sum`, so that people can check a manifest without Millrace. */
const MANIFEST_SUM = 'manifest.json.sha256';

/** What JSON.parse has returned is JSON, whatever it holds; to walk through it again would be slow for large states. */
const parsedJson = z.custom<Json>((value) => value !== undefined);

/** FORMAT.md says what the fields mean. */
export interface Manifest {
  readonly formatVersion: 1;
  readonly id: string;
  readonly jobId: string;
  readonly reason: CutReason;
  readonly createdAt: string;
  readonly describe: Readonly<Record<string, Json>>;
  readonly states: Readonly<Record<string, { readonly state: Json }>>;
  readonly files: readonly ManifestFile[];
}

export interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly uid: string | null;
}

const manifestSchema: z.ZodType<Manifest> = z.strictObject({
  formatVersion: z.literal(1),
  id: z.string(),
  jobId: z.string(),
  reason: z.enum(['timer', 'steps', 'handover', 'savepoint', 'deploy', 'stop', 'final']),
  createdAt: z.iso.datetime(),
  describe: z.record(z.string(), parsedJson),
  states: z.record(z.string(), z.strictObject({ state: parsedJson })),
  files: z.array(
    z.strictObject({
      name: z.string().regex(/^[\w.-]+$/),
      bytes: z.int().nonnegative(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      uid: z.string().nullable(),
    }),
  ),
});

/** Writes checksum and manifest into a directory; the manifest appears last, and whole. */
export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  const text = `${JSON.stringify(manifest, refuseNonFinite, 2)}\n`;
  await writeFlushed(join(directory, MANIFEST_SUM), `${sha256(text)}  ${MANIFEST}\n`);
  const unfinished = join(directory, `${MANIFEST}.part`);
  await writeFlushed(unfinished, text);
  await rename(unfinished, join(directory, MANIFEST));
}

/** Reads the manifest of the checkpoint in a directory. Rejects with `checkpoint-corrupt`. */
export async function readManifest(directory: string): Promise<Manifest> {
  try {
    const text = await readFile(join(directory, MANIFEST), 'utf8');
    const sum = await readFile(join(directory, MANIFEST_SUM), 'utf8');
    if (!sum.startsWith(sha256(text))) throw new Error(`${MANIFEST} does not match its checksum`);
    return manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw corrupt(directory, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

export function corrupt(directory: string, what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'checkpoint-corrupt',
    `Checkpoint ${basename(directory)} cannot be used: ${what}. Go on from the one before it, or bring back ` +
      `${directory} from a copy.`,
    { cause },
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** JSON would turn NaN and Infinity into null, which nobody would notice before the restore. */
function refuseNonFinite(key: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  throw new Error(`the state holds ${value} under "${key}", which JSON cannot carry`);
}
