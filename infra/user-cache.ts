import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where set-up and tuning keep what holds for all projects of this user; setup/cache.mjs says the same. */
export function userCache(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const base = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return resolve(environment['MILLRACE_CACHE'] || join(base, 'millrace'));
}
