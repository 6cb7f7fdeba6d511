import { readFileSync } from 'node:fs';
import { z } from 'zod';

const manifest: unknown = JSON.parse(readFileSync(findManifest(), 'utf8'));

/** Version of this package, as its package.json says. */
export const version: string = z.object({ version: z.string() }).parse(manifest).version;

/** package.json stands one folder up from the sources, and two up from the packed form in dist/. */
function findManifest(): URL {
  const packed = import.meta.url.endsWith('.js');
  return new URL(packed ? '../../package.json' : '../package.json', import.meta.url);
}
