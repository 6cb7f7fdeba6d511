import { existsSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { MillraceError } from '../../operators/errors.ts';
import type { TopicLog } from '../../operators/ports.ts';
import { dataFolder } from '../job/job-folder.ts';
import { nameOf, openLog } from '../job/open-log.ts';
import type { LogOptions, LogPlace } from '../job/open-log.ts';

/** As shells have it: 128, and the number of SIGINT. */
const INTERRUPTED = 130;

/** What a command works with while it runs. */
export interface Session {
  /** Aborts at Ctrl-C, and when nobody reads standard output any more, as behind `| head`. */
  readonly signal: AbortSignal;
  readonly wasInterrupted: boolean;
  /** Writes to standard output, and waits until it is taken. */
  print(text: string | Uint8Array): Promise<void>;
}

/**
 * Runs a command, which ends early when its signal aborts, with `interruptedCode` as its exit code after Ctrl-C. A second
 * Ctrl-C ends the process at once. That a reader has gone is no error: it had enough.
 */
export async function inSession(
  run: (session: Session) => Promise<void>,
  interruptedCode: number = INTERRUPTED,
): Promise<void> {
  const abort = new AbortController();
  let wasInterrupted = false;
  const interrupt = (): void => {
    wasInterrupted = true;
    abort.abort();
  };
  const outputFailed = (error: Error): void => {
    if (isBrokenPipe(error)) abort.abort();
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  process.stdout.on('error', outputFailed);
  try {
    await run({
      signal: abort.signal,
      get wasInterrupted() {
        return wasInterrupted;
      },
      print: (text) => write(process.stdout, text),
    });
  } catch (error) {
    if (!abort.signal.aborted || !(error instanceof Error && error.name === 'AbortError')) throw error;
  } finally {
    if (wasInterrupted) process.exitCode = interruptedCode;
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    process.stdout.off('error', outputFailed);
  }
}

/** Opens the log of a place, runs `use` and closes it. */
export async function withLog<T>(
  place: LogPlace,
  use: (log: TopicLog) => Promise<T>,
  options: LogOptions = {},
): Promise<T> {
  const log = await openLog(place, options);
  try {
    return await use(log);
  } finally {
    await log.close();
  }
}

/** Rejects with `topic-missing`, saying which topics there are. Makes no folder to look into. */
export async function withTopic<T>(place: LogPlace, topic: string, use: (log: TopicLog) => Promise<T>): Promise<T> {
  if (!place.brokers && !existsSync(dataFolder(place.dataDir).log)) {
    throw new MillraceError(
      'topic-missing',
      `There is no topic ${topic}: ${place.dataDir} has no log yet. Name another folder with --data-dir, start a job with ` +
        `millrace up, or make the topic with millrace produce ${topic} <paths...>.`,
    );
  }
  return withLog(place, async (log) => {
    const names = (await log.topics()).map(({ name }) => name);
    if (names.includes(topic)) return use(log);
    const known = names.length > 0 ? `It has: ${names.toSorted().join(', ')}.` : 'It has none.';
    throw new MillraceError('topic-missing', `There is no topic ${topic} in ${nameOf(place)}. ${known}`);
  });
}

function write(out: Writable, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    out.write(text, (error) => {
      if (error && !isBrokenPipe(error)) reject(error);
      else resolve();
    });
  });
}

function isBrokenPipe(error: Error): boolean {
  return 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED');
}
