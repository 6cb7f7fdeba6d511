import { z } from 'zod';
import { payloads } from '../../operators/kind.ts';
import type { OperatorKind } from '../../operators/kind.ts';

function method<T>(): z.ZodType<T> {
  return z.custom<T>((value) => typeof value === 'function', 'must be a function');
}

/** What `defineKind` makes. */
const contract: z.ZodType<Omit<OperatorKind, 'code'>> = z.object({
  kind: z.string().regex(/^[A-Za-z]\w*$/, 'must be a name of letters and digits'),
  summary: z.string().min(1),
  input: z.enum(payloads),
  output: z.enum(payloads),
  config: z.custom<z.ZodType>((value) => value instanceof z.ZodType, 'must be a schema of zod'),
  state: z.string().nullable(),
  isTold: z.boolean(),
  refusalOf: method<OperatorKind['refusalOf']>(),
  migrationOf: method<OperatorKind['migrationOf']>(),
  respelled: method<OperatorKind['respelled']>(),
  forked: method<OperatorKind['forked']>(),
  positionsIn: method<OperatorKind['positionsIn']>(),
  topicsOf: method<OperatorKind['topicsOf']>(),
  build: method<OperatorKind['build']>(),
});

/** The kind that a module exports, with the identity of its code; what is wrong with it; null for what is none. */
export function kindIn(value: unknown, code: string): OperatorKind | string | null {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return null;
  const checked = contract.safeParse(value);
  if (checked.success) return { ...checked.data, code };
  const [issue] = checked.error.issues;
  return `operator "${String(value.kind)}" is not as defineKind makes it: ${issue?.path.join('.')} ${issue?.message}`;
}
