import type { TopicLog } from '../operators/ports.ts';

/** Makes a topic of one partition when it is first needed; after a failure, when it is needed next. */
export function ownTopic(log: TopicLog, name: string): () => Promise<void> {
  let made: Promise<void> | null = null;
  return () => {
    made ??= log.createTopic(name, { partitions: 1 }).catch((error: unknown) => {
      made = null;
      throw error;
    });
    return made;
  };
}
