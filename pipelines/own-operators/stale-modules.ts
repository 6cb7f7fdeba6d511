import { relative } from 'node:path';
import type { OperatorModule } from './pack-module.ts';
import { packModule } from './pack-module.ts';

/** A warning for each module of a job's graph whose file says something else by now. */
export function staleModules(modules: readonly OperatorModule[] = []): readonly string[] {
  return modules.flatMap(({ path, code }) => {
    const now = packModule(path);
    if ('module' in now && now.module.code === code) return [];
    const file = relative('', path);
    const what = 'module' in now ? 'has changed' : 'can not be read any more';
    return [
      `${file} ${what} since the job took it. The job goes on with the code that it has, until its graph is given again.`,
    ];
  });
}
