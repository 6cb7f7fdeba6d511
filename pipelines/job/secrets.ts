import { readFileSync } from 'node:fs';
import { MillraceError } from '../../operators/errors.ts';
import type { SecretSpec } from '../spec/secrets.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A secret: from the variable `name` or the file that `name_FILE` names, else from where the graph says it is; undefined
 * where nobody says anything. Throws `config-invalid`, which names the place and never the secret.
 */
export function readSecret(spec: SecretSpec | undefined, name: string, env: Environment): string | undefined {
  const file = env[`${name}_FILE`];
  if (env[name]) return env[name];
  if (file) return requireSecret({ file }, env);
  return spec && requireSecret(spec, env);
}

/** A secret that must be where it is said to be. Throws `config-invalid`. */
export function requireSecret(spec: SecretSpec, env: Environment): string {
  const secret = 'file' in spec ? fromFile(spec.file) : env[spec.env];
  if (secret) return secret;
  const place = 'file' in spec ? `file ${spec.file}` : `variable ${spec.env}`;
  throw new MillraceError(
    'config-invalid',
    `The ${place}, which is to hold a secret, is ${'file' in spec ? 'empty' : 'not set'}.`,
  );
}

/** Editors end a file with a line end, which belongs to no secret. */
function fromFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new MillraceError('config-invalid', `The file ${path}, which is to hold a secret, can't be read.`, { cause });
  }
}
