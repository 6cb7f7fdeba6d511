import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import type { Content } from '../../operators/field-path.ts';
import { textIn, withoutMark } from '../../operators/formats.ts';
import type { TopicFormat } from '../../operators/formats.ts';

/** What a control record asks for. */
export type ControlCommand = Addressed &
  (
    | {
        readonly command: 'deploy';
        /** YAML or JSON. */
        readonly graph: string;
        readonly discard: readonly string[];
        readonly expectedVersion: number | null;
      }
    | {
        readonly command: 'rollback';
        readonly version: number | null;
        readonly discard: readonly string[];
        readonly expectedVersion: number | null;
      }
    | { readonly command: 'savepoint' }
    | {
        readonly command: 'promote';
        /** Id or number of a snapshot; the newest, where it is null. */
        readonly version: string | null;
      }
    | { readonly command: 'demote' }
  );

interface Addressed {
  /** The job that is meant; whichever reads it, where it is null. */
  readonly job: string | null;
  /** Chosen by who asks; what bears the same one is the same request. */
  readonly id: string | null;
}

/** Avro's arguments are text; JSON may say them as they are. */
const version = z
  .union([z.int(), z.string().regex(/^\d+$/).transform(Number)])
  .pipe(z.int().positive())
  .nullable()
  .default(null);
const snapshot = z
  .union([z.int().transform(String), z.string().min(1)])
  .nullable()
  .default(null);
const discard = z
  .union([z.array(z.string()), z.string().transform((text) => text.split(',').map((uid) => uid.trim()))])
  .default([]);
const graph = z.union([z.string().min(1), z.looseObject({}).transform((document) => JSON.stringify(document))]);
const address = { job: z.string().nullable().default(null), id: z.string().min(1).nullable().default(null) };

const commandSchema: z.ZodType<ControlCommand> = z.discriminatedUnion('command', [
  z.strictObject({ ...address, command: z.literal('deploy'), graph, discard, expectedVersion: version }),
  z.strictObject({ ...address, command: z.literal('rollback'), version, discard, expectedVersion: version }),
  z.strictObject({ ...address, command: z.literal('savepoint') }),
  z.strictObject({ ...address, command: z.literal('promote'), version: snapshot }),
  z.strictObject({ ...address, command: z.literal('demote') }),
]);

const fieldsSchema = z.looseObject({ arguments: z.looseObject({}).default({}) });

/**
 * The command that a record holds: an object with `command` and its arguments, beside it or under `arguments`, as
 * `infra/avro/control.avsc` has it. Bare text is `savepoint`, `rollback`, `rollback 3`, `promote`, `promote 12`,
 * `demote`, or else a graph to deploy.
 * Throws `command-invalid`, and `field-missing` where the topic's field has no text.
 */
export function readCommand(content: Content, format: TopicFormat, value: Uint8Array): ControlCommand {
  const bare = typeof content === 'string' ? content : null;
  const text = format.field === null ? bare : textIn(content, format, value);
  const said = text === null ? content : saidIn(withoutMark(text));
  const fields = fieldsSchema.safeParse(said);
  if (!fields.success) throw invalid('it is neither an object with a command, nor text');
  const { arguments: named, ...beside } = fields.data;
  const given = Object.entries({ ...beside, ...named }).filter(([, each]) => each !== null);
  const { data, error } = commandSchema.safeParse(Object.fromEntries(given));
  if (data) return data;
  throw invalid(
    error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; '),
  );
}

function saidIn(text: string): unknown {
  const [, command, number] = /^\s*(savepoint|rollback|promote|demote)(?:\s+(\d+))?\s*$/.exec(text) ?? [];
  if (command !== undefined) return { command, ...(number === undefined ? {} : { version: number }) };
  const object = objectIn(text);
  return object && 'command' in object ? object : { command: 'deploy', graph: text };
}

function objectIn(text: string): object | null {
  if (!/^\s*\{/.test(text)) return null;
  try {
    return z.looseObject({}).parse(JSON.parse(text));
  } catch {
    // YAML may begin with a brace, too.
    return null;
  }
}

function invalid(reason: string): MillraceError {
  return new MillraceError(
    'command-invalid',
    `Not a command: ${reason}. Say {"command": "deploy", "graph": …}, "rollback", "savepoint", "promote" or "demote".`,
  );
}
