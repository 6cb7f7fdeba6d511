import { MillraceError } from '../operators/errors.ts';
import type { DeadLetters, TopicLog } from '../operators/ports.ts';
import { ownTopic } from './own-topic.ts';

/**
 * Dead letters in a topic, which is made when missing: key and value as the record had them; where it came from and why
 * it is dead in the headers `topic`, `partition`, `offset`, `code`, `message` and `timestamp` (ISO 8601, when it was put
 * here).
 */
export function logDeadLetters(log: TopicLog, topic: string): DeadLetters {
  const ready = ownTopic(log, topic);
  return {
    async put({ at, code, message, key, value }) {
      const headers = {
        topic: at.topic,
        partition: String(at.partition),
        offset: String(at.offset),
        code,
        message,
        timestamp: new Date().toISOString(),
      };
      try {
        await ready();
        await log.produce(topic, [{ key, value, headers }]);
      } catch (cause) {
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
