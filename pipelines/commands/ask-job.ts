import { createInterface } from 'node:readline/promises';
import { askControl } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Json } from '../../operators/types.ts';
import { progressLine } from '../terminal/deploy-view.ts';
import type { Session } from './session.ts';

/**
 * Asks the job that runs on a folder, and prints how far it is. Ctrl-C ends the asking, not what was asked for, which is said.
 * Rejects with `bad-usage` where no job runs.
 */
export async function askJob(
  session: Session,
  dataDir: string,
  method: string,
  input: Json,
  isJson: boolean,
): Promise<Json> {
  const say = (progress: Json): void => console.log(isJson ? JSON.stringify(progress) : progressLine(progress));
  try {
    const asked = await askControl(dataDir, method, input, say, session.signal);
    if (asked) return asked.output;
  } catch (error) {
    if (session.wasInterrupted && method === 'deploy') {
      console.error('millrace: The job goes on with it; millrace graphs says what becomes of it.');
    }
    throw error;
  }
  throw new MillraceError(
    'bad-usage',
    `No job runs on ${dataDir}. Start it with the changed graph: millrace up does the same plan.`,
  );
}

/** Whether somebody can be asked. */
export function isAnybodyThere(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY;
}

/** Asks on a terminal; elsewhere nobody could answer, so that `--yes` is needed. */
export async function agreed(signal: AbortSignal): Promise<boolean> {
  if (!isAnybodyThere()) {
    throw new MillraceError('bad-usage', 'There is nobody to ask whether to go on. Say --yes to do without.');
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question('Go on? [y/N] ', { signal })).trim());
  } finally {
    terminal.close();
  }
}
