import { createHash } from 'node:crypto';
import { SourceMap, createRequire, isBuiltin } from 'node:module';
import { basename } from 'node:path';
import { compileFunction } from 'node:vm';
import * as rxjs from 'rxjs';
import * as zod from 'zod';
import * as operators from '../../operators/index.ts';
import type { OperatorKind } from '../../operators/kind.ts';
import { kindIn } from './kind-in.ts';
import type { OperatorModule } from './pack-module.ts';

/** What modules may import without bringing it along. */
const GIVEN: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['millrace/operators', operators],
  ['zod', zod],
  ['rxjs', rxjs],
]);

const require = createRequire(import.meta.url);

export type Loaded = { readonly kinds: readonly OperatorKind[] } | { readonly problems: readonly string[] };

/**
 * Runs a packed module and takes the kinds of operators that it exports. Nothing of it stays in memory once its kinds are
 * not used any more. Problems say where in the source a module throws.
 */
export function loadKinds(module: OperatorModule): Loaded {
  const name = basename(module.path);
  const code = hashOf(module);
  let exported: readonly unknown[];
  try {
    exported = exportsOf(module, code);
  } catch (error) {
    return { problems: [`${placeOf(error, module, code) ?? name}: it throws as it is loaded: ${String(error)}`] };
  }
  const found = exported.map((value) => kindIn(value, code)).filter((kind) => kind !== null);
  const problems = found.filter((each) => typeof each === 'string');
  if (problems.length > 0) return { problems: problems.map((problem) => `${name}: ${problem}`) };
  const kinds = found.filter((each) => typeof each !== 'string');
  if (kinds.length > 0) return { kinds };
  return {
    problems: [`${name}: it exports no operator. Export one that defineKind of millrace/operators has made.`],
  };
}

/** Identifies a module's code, wherever it lies. */
function hashOf({ code }: OperatorModule): string {
  return createHash('sha256').update(code).digest('hex').slice(0, 12);
}

function exportsOf({ code }: OperatorModule, hash: string): readonly unknown[] {
  const module: { exports: unknown } = { exports: {} };
  const run: unknown = compileFunction(code, ['module', 'exports', 'require'], { filename: fileNameOf(hash) });
  if (typeof run === 'function') Reflect.apply(run, undefined, [module, module.exports, give]);
  return typeof module.exports === 'object' && module.exports !== null ? Object.values(module.exports) : [];
}

function give(name: string): unknown {
  if (GIVEN.has(name)) return GIVEN.get(name);
  if (isBuiltin(name)) return require(name);
  throw new Error(`"${name}" can't be imported: there are ${[...GIVEN.keys()].join(', ')}, and packages of your own`);
}

function fileNameOf(hash: string): string {
  return `millrace-operators-${hash}`;
}

const mapSchema = zod.z.object({
  version: zod.z.number(),
  sources: zod.z.array(zod.z.string()),
  names: zod.z.array(zod.z.string()),
  mappings: zod.z.string(),
});

/** Where in the source an error was thrown, as `file:line:column`. */
function placeOf(error: unknown, { code }: OperatorModule, hash: string): string | null {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const [, line, column] = new RegExp(`${fileNameOf(hash)}:(\\d+):(\\d+)`).exec(stack) ?? [];
  const [, encoded] = /sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/.exec(code) ?? [];
  if (line === undefined || column === undefined || encoded === undefined) return null;
  const map = mapSchema.parse(JSON.parse(Buffer.from(encoded, 'base64').toString()));
  const entry = new SourceMap({ ...map, file: '', sourceRoot: '', sourcesContent: [] }).findEntry(
    Number(line) - 1,
    Number(column) - 1,
  );
  return 'originalSource' in entry
    ? `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
    : null;
}
