import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What lies beside the code of steps and has no part in them. */
const ASIDE = /^(tokenizer|weights)$/;

/**
 * Changes whenever the code that steps are made of does, so that what was measured of other code is not taken for this
 * one's. A hash of the files of this folder, sources or compiled.
 */
export function stepVersion(): string {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const hash = createHash('sha256');
  for (const path of codeUnder(folder)) hash.update(path.slice(folder.length)).update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

function codeUnder(folder: string): readonly string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    if (entry.isDirectory()) return ASIDE.test(entry.name) ? [] : codeUnder(join(folder, entry.name));
    return /(?<!\.d)\.[jt]s$/.test(entry.name) ? [join(folder, entry.name)] : [];
  });
}
