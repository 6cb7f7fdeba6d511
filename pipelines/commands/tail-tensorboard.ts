import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { createEventFile, replaceFile } from '../../infra/index.ts';
import type { Formats } from '../../operators/formats.ts';
import type { Position, TopicLog } from '../../operators/ports.ts';
import { readJsonFile } from '../job/json-file.ts';
import { counted } from '../terminal/format.ts';
import { readable } from '../topics/encode.ts';
import { follow } from '../topics/follow.ts';
import { scalarsOf } from '../topics/scalars.ts';
import type { Session } from './session.ts';

export interface TensorBoardOptions {
  readonly log: TopicLog;
  readonly topic: string;
  readonly formats: Formats;
  /** Where to begin a topic that is not in the folder yet. */
  readonly positions: readonly Position[];
  /** Whether to begin there in any case. */
  readonly isAnew: boolean;
  readonly folder: string;
  readonly untilEnd: boolean;
}

/** How far a topic is in the folder's files. */
const placeSchema: z.ZodType<Position[]> = z.array(
  z.object({ topic: z.string(), partition: z.int(), offset: z.int() }),
);
const SAVED_EVERY_MS = 1000;

/**
 * Adds the numbers of a topic's records to TensorBoard's files in a folder, and notes there how far it came: told again, it goes
 * on behind that. Killed in between, the last second is there twice, with the same numbers at the same steps.
 */
export async function tailTensorBoard(session: Session, options: TensorBoardOptions): Promise<void> {
  const { log, topic, formats, folder, untilEnd } = options;
  const placeFile = join(folder, `.millrace-${topic}.json`);
  const at = new Map((await startOf(options, placeFile)).map((position) => [position.partition, position]));
  const file = await createEventFile(folder, topic, Date.now());
  let [points, savedMs] = [0, Date.now()];
  const save = (): Promise<void> => replaceFile(placeFile, `${JSON.stringify([...at.values()])}\n`);
  try {
    for await (const records of follow(log, [...at.values()], { signal: session.signal, untilEnd })) {
      const read = await Promise.all(records.map((record) => readable(record, formats.of(topic))));
      const events = read.flatMap((record) => scalarsOf(record) ?? []);
      await file.append(events);
      points += events.length;
      for (const { partition, offset } of records) at.set(partition, { topic, partition, offset: offset + 1 });
      if (Date.now() - savedMs < SAVED_EVERY_MS) continue;
      await save();
      savedMs = Date.now();
    }
  } finally {
    await file.close();
    await save();
  }
  await session.print(
    `Wrote ${counted(points, 'record')} of topic ${topic} to ${folder}: tensorboard --logdir ${folder}\n`,
  );
}

async function startOf({ positions, isAnew }: TensorBoardOptions, file: string): Promise<readonly Position[]> {
  if (isAnew || !existsSync(file)) return positions;
  const known = await readJsonFile(
    file,
    placeSchema,
    'does not say how far the topic was written. Use another folder.',
  );
  return positions.map((position) => known?.find(({ partition }) => partition === position.partition) ?? position);
}
