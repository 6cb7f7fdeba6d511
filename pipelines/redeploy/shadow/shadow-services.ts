import { map } from 'rxjs';
import { MillraceError } from '../../../operators/errors.ts';
import type { Services } from '../../../operators/kind.ts';
import type { DeadLetters, Ledger, TopicLog, Trainer } from '../../../operators/ports.ts';
import type { OpenJob } from '../../job/open-job.ts';

export interface ShadowServicesOptions {
  /** Under the graph that is tried. */
  readonly job: OpenJob;
  readonly stream: string;
  readonly restore: Services['restore'];
  readonly trainer: Trainer;
  readonly deadLetters: DeadLetters;
  /** Called when all that the running graph has decided was read; resolves when nobody wants to know more. */
  readonly onExhausted: () => Promise<never>;
}

/** What the operators of a shadow work with: all of it can be read, and nothing of it written. */
export function shadowServices(options: ShadowServicesOptions): Services {
  const { job, stream, restore, trainer, deadLetters, onExhausted } = options;
  const ledger = job.ledgerOf(stream, job.log);
  const following: Ledger = { read: (from) => ledger.read(from), end: () => ledger.end(), append: onExhausted };
  return {
    jobId: job.folder.id,
    lineage: job.adopted.lineage,
    log: readOnly(job.log),
    formats: job.formats,
    clock: { nowMs: () => Date.now() },
    tokenizer: job.tokenizer,
    deadLetters,
    ledger: following,
    batch: job.batch,
    answers: null,
    restore,
    maxSteps: Infinity,
    assignments: null,
    trainer,
    get store() {
      return absent('checkpoints');
    },
    get sampler() {
      return absent('sampler');
    },
  };
}

/** A log that takes records and positions, and forgets them. */
function readOnly(log: TopicLog): TopicLog {
  const self: TopicLog = {
    createTopic: async () => undefined,
    topics: () => log.topics(),
    retention: (name) => log.retention(name),
    topic: (name) => log.topic(name).pipe(map((topic) => ({ ...topic, log: self }))),
    produce: async () => [],
    offsets: (topic) => log.offsets(topic),
    reader: (from) => log.reader(from),
    commit: async () => undefined,
    committed: (group, topic) => log.committed(group, topic),
    transactions: async () => absent('transactions'),
    close: async () => undefined,
  };
  return self;
}

function absent(what: string): never {
  throw new MillraceError(
    'graph-invalid',
    `An operator in front of trainStep asks for ${what}, which a shadow has not.`,
  );
}
