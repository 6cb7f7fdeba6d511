import { mkdir, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { encodeEvent, encodeVersion } from './encode-event.ts';
import type { ScalarEvent } from './encode-event.ts';

/** A file of TensorBoard's, to which events are added. */
export interface EventFile {
  /** Readers see the events when it resolves. */
  append(events: readonly ScalarEvent[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * Makes a new file in a folder, which is made where it is missing. TensorBoard reads all files of a folder in the order of
 * their names, so one that is begun later goes on with the series of those before. Rejects with errors of the disk as they are.
 */
export async function createEventFile(folder: string, suffix: string, nowMs: number): Promise<EventFile> {
  await mkdir(folder, { recursive: true });
  const seconds = String(Math.floor(nowMs / 1000)).padStart(10, '0');
  const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${suffix}`;
  const file = await open(join(folder, name), 'wx');
  await file.appendFile(encodeVersion(nowMs));
  return new OpenEventFile(file);
}

class OpenEventFile implements EventFile {
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async append(events: readonly ScalarEvent[]): Promise<void> {
    if (events.length > 0) await this.#file.appendFile(Buffer.concat(events.map(encodeEvent)));
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
