import { readFileSync } from 'node:fs';
import { MillraceError } from '../../operators/errors.ts';
import type { SecretSpec } from '../spec/secrets.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A secret: from the variable `name` or the file that `name_FILE` names, else from where the graph says it is; undefined
 * where nobody says anything. Throws `config-invalid`, which names the place and never the secret.
 */
export function readSecret(spec: SecretSpec | undefined, name: string, env: Environment): string | undefined {
  const direct = env[name];
  if (direct !== undefined && direct !== '') return direct;
  const file = env[`${name}_FILE`];
  if (file) return fromFile(file, `which ${name}_FILE names`);
  if (!spec) return undefined;
  if ('file' in spec) return fromFile(spec.file, 'which the graph names');
  const value = env[spec.env];
  if (value) return value;
  throw new MillraceError(
    'config-invalid',
    `The variable ${spec.env}, which the graph names for a secret, is not set.`,
  );
}

/** Editors end a file with a line end, which belongs to no secret. */
function fromFile(path: string, who: string): string {
  let secret: string;
  try {
    secret = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new MillraceError('config-invalid', `The file ${path}, ${who} for a secret, can't be read.`, { cause });
  }
  if (secret !== '') return secret;
  throw new MillraceError('config-invalid', `The file ${path}, ${who} for a secret, is empty.`);
}
