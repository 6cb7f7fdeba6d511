import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { flush } from '../../infra/durable-files.ts';
import { MillraceError } from '../../operators/errors.ts';

/**
 * Makes a file or folder aside and moves it to its place when it is whole: nobody ever sees a part of it. Rejects with
 * `bad-usage` where there is something already, unless that may be replaced; what cannot be made leaves it as it was.
 */
export async function replacePath(
  path: string,
  mayReplace: boolean,
  make: (aside: string) => Promise<void>,
): Promise<void> {
  const target = resolve(path);
  if (existsSync(target) && !mayReplace) {
    throw new MillraceError('bad-usage', `${path} is there already. Name another place, or say --force to replace it.`);
  }
  const folder = dirname(target);
  const aside = join(folder, `.${basename(target)}.${randomUUID()}`);
  const before = `${aside}.before`;
  await mkdir(folder, { recursive: true });
  try {
    await make(aside);
    await flush(aside);
    if (existsSync(target)) await rename(target, before);
    await rename(aside, target);
    await flush(folder);
  } finally {
    await rm(aside, { recursive: true, force: true });
    await rm(before, { recursive: true, force: true });
  }
}
