import { map } from 'rxjs';
import type { Logger, TopicLog } from '../../operators/index.ts';

/** A log as one run of a stream uses it. */
export interface StreamLog extends TopicLog {
  /** Resolves when nothing that was produced through it is under way any more. */
  settled(): Promise<void>;
}

/**
 * Keeps account of what is being produced, since a stream must not be built anew while records of the run before it may
 * still arrive: it would not find them in the log, and produce them again. Commits of offsets are for people's monitoring
 * only, so one that fails is reported and ends nothing. `close` leaves the log open, which is the job's.
 */
export function streamLog(log: TopicLog, logger: Logger): StreamLog {
  const underWay = new Set<Promise<unknown>>();
  const self: StreamLog = {
    createTopic: (name, settings) => log.createTopic(name, settings),
    topics: () => log.topics(),
    retention: (name) => log.retention(name),
    topic: (name) => log.topic(name).pipe(map((topic) => ({ ...topic, log: self }))),
    produce(topic, records) {
      const producing = log.produce(topic, records);
      const entry: Promise<unknown> = producing.catch(() => undefined).then(() => underWay.delete(entry));
      underWay.add(entry);
      return producing;
    },
    offsets: (topic) => log.offsets(topic),
    reader: (from) => log.reader(from),
    async commit(group, positions) {
      try {
        await log.commit(group, positions);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        logger.warn(`The offsets of group ${group} could not be reported, which only monitoring misses: ${reason}`);
      }
    },
    committed: (group, topic) => log.committed(group, topic),
    transactions: (id, group) => log.transactions(id, group),
    close: () => self.settled(),
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
  return self;
}
