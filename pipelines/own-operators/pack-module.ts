import { basename, dirname } from 'node:path';
import { buildSync } from 'esbuild';
import type { Message } from 'esbuild';
import { z } from 'zod';

/** A module with operators of one's own, and all that it imports, as one text; graphs and their history carry it. */
export interface OperatorModule {
  /** Where it came from. */
  readonly path: string;
  /** JavaScript (CommonJS), which needs nothing but what `loadKinds` gives it. */
  readonly code: string;
}

export type Packed = { readonly module: OperatorModule } | { readonly problems: readonly string[] };

/** Millrace gives its own, so that types and instances are the same on both sides. */
const GIVEN = ['millrace', 'zod', 'rxjs'];
/** It stands in each checkpoint's manifest. */
const MOST_BYTES = 1024 * 1024;

/**
 * Packs a module of TypeScript or JavaScript (types are stripped, not checked) with the files and packages that it imports.
 * The same sources give the same text in whatever folder they lie (but for what its package.json says of `type`). Problems
 * say file, line and column.
 */
export function packModule(path: string): Packed {
  try {
    const { outputFiles } = buildSync({
      entryPoints: [`./${basename(path)}`],
      absWorkingDir: dirname(path),
      bundle: true,
      write: false,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      external: GIVEN,
      supported: { 'dynamic-import': false },
      sourcemap: 'inline',
      sourcesContent: false,
      tsconfigRaw: '{}',
      logLevel: 'silent',
    });
    const text = outputFiles[0]?.text ?? '';
    if (text.length <= MOST_BYTES) return { module: { path, code: text } };
    return {
      problems: [`${path} and what it imports have ${text.length} bytes, more than ${MOST_BYTES}. Import less.`],
    };
  } catch (error) {
    const failure = failureSchema.safeParse(error);
    if (!failure.success) throw error;
    return { problems: failure.data.errors.map((message) => problemOf(path, message)) };
  }
}

const locationSchema = z.object({ file: z.string(), line: z.number(), column: z.number() });
const failureSchema = z.object({
  errors: z.array(z.object({ text: z.string(), location: locationSchema.nullable() })).min(1),
});

function problemOf(
  path: string,
  { text, location }: Pick<Message, 'text'> & z.output<typeof failureSchema>['errors'][number],
): string {
  if (!location) return `${path}: ${text}`;
  return `${location.file}:${location.line}:${location.column + 1}: ${text}`;
}
