import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Makes `dist`, the form in which Millrace is packed: JavaScript and declarations of the sources, in the same folders, with
 * the files that they read (graphs, schemas) beside them. Set-up and command are plain Node and are packed as they are.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = join(root, 'dist');
const assets = new Set(['.yaml', '.json', '.jsonl', '.avsc']);
const notAssets = new Set(['tsconfig.json']);

rmSync(dist, { recursive: true, force: true });
const compiler = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));
const { status } = spawnSync(process.execPath, [compiler, '-p', 'infra/build'], { cwd: root, stdio: ['ignore', 2, 2] });
if (status !== 0) process.exit(status ?? 1);

for (const folder of ['pipelines', 'operators', 'model', 'infra']) {
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !assets.has(extname(entry.name)) || notAssets.has(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    cpSync(path, join(dist, path.slice(root.length)));
  }
}
