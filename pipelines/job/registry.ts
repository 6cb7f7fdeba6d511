import { SchemaRegistry } from '../../infra/index.ts';
import type { SchemaRegistryOptions } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import { toMs } from '../../operators/units.ts';
import type { SchemaRegistrySpec } from '../spec/schema-registry.ts';
import { urlSchema } from '../spec/secrets.ts';
import { readSecret } from './secrets.ts';
import type { Environment } from './secrets.ts';

/** The registry that the environment names (`MILLRACE_REGISTRY_…`), else the graph's; null where neither names one. */
export function registryOf(spec: SchemaRegistrySpec | undefined, env: Environment): SchemaRegistry | null {
  const url = env['MILLRACE_REGISTRY_URL'] ?? spec?.url;
  if (url === undefined) return null;
  const checked = urlSchema.safeParse(url);
  if (!checked.success) {
    throw new MillraceError('config-invalid', `MILLRACE_REGISTRY_URL: ${checked.error.issues[0]?.message}`);
  }
  const auth = authOf(spec, env);
  const { register = true, patience = '30s' } = spec ?? {};
  return new SchemaRegistry({ url, register, patienceMs: toMs(patience), ...(auth ? { auth } : {}) });
}

function authOf(spec: SchemaRegistrySpec | undefined, env: Environment): SchemaRegistryOptions['auth'] {
  const token = readSecret(spec?.token, 'MILLRACE_REGISTRY_TOKEN', env);
  if (token !== undefined) return { token };
  const username = env['MILLRACE_REGISTRY_USERNAME'] ?? spec?.username;
  const password = readSecret(spec?.password, 'MILLRACE_REGISTRY_PASSWORD', env);
  if (username !== undefined && password !== undefined) return { username, password };
  if (username === undefined && password === undefined) return undefined;
  throw new MillraceError(
    'config-invalid',
    `The schema registry has a ${username === undefined ? 'password but no username' : 'username but no password'}. Give both ` +
      '(MILLRACE_REGISTRY_USERNAME, MILLRACE_REGISTRY_PASSWORD), or a token.',
  );
}
