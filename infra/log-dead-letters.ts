import { MillraceError } from '../operators/errors.ts';
import type { DeadLetter, DeadLetters, TopicLog } from '../operators/ports.ts';
import type { NewRecord } from '../operators/types.ts';
import { ownTopic } from './own-topic.ts';

/**
 * A letter as a record: key and value as the record had them; where it came from and why it is dead in the headers
 * `topic`, `partition`, `offset`, `code`, `message` and `timestamp` (ISO 8601, when it was put here).
 */
export function deadLetterRecord({ at, code, message, key, value }: DeadLetter): NewRecord {
  const headers = {
    topic: at.topic,
    partition: String(at.partition),
    offset: String(at.offset),
    code,
    message,
    timestamp: new Date().toISOString(),
  };
  return { key, value, headers };
}

/** Dead letters in a topic, which is made when missing. */
export function logDeadLetters(log: TopicLog, topic: string): DeadLetters {
  const ready = ownTopic(log, topic);
  return {
    async put(letter) {
      try {
        await ready();
        await log.produce(topic, [deadLetterRecord(letter)]);
      } catch (cause) {
        const { at, code } = letter;
        throw new MillraceError(
          'dead-letter-failed',
          `Record ${at.offset} of ${at.topic}/${at.partition} (${code}) could not be put into topic ${topic}: ` +
            `${cause instanceof Error ? cause.message : String(cause)} Nothing is lost: mend that and start again.`,
          { cause },
        );
      }
    },
  };
}
