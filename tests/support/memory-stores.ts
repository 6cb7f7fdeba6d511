import { MillraceError } from '../../operators/errors.ts';
import type {
  Answer,
  AnswerBook,
  Checkpoint,
  CheckpointInfo,
  CheckpointStore,
  Cut,
  DeadLetter,
  DeadLetters,
  Ledger,
  LedgerEntry,
} from '../../operators/ports.ts';
import type { Coordinates } from '../../operators/types.ts';
import { asStored } from './elements.ts';

/** Answers in memory; all that were committed, in order. */
export class MemoryAnswers implements AnswerBook {
  readonly committed: Answer[] = [];

  begin({ topic, partition, offset }: Coordinates): boolean {
    return !this.committed.some(({ at }) => at.topic === topic && at.partition === partition && at.offset === offset);
  }

  async commit(answer: Answer): Promise<void> {
    this.committed.push(answer);
  }

  async close(): Promise<void> {}
}

/** Checkpoints in memory; their states have been through JSON, as on a disk. */
export class MemoryCheckpoints implements CheckpointStore {
  readonly kept: Checkpoint[] = [];
  #made = 0;

  async put({ reason, states }: Cut): Promise<CheckpointInfo> {
    this.#made += 1;
    const id = `cut-${String(this.#made).padStart(6, '0')}`;
    const checkpoint = { id, reason, createdAtMs: this.#made, bytes: 1, path: `/${id}`, states: asStored(states) };
    this.kept.push(checkpoint);
    return checkpoint;
  }

  async list(): Promise<readonly CheckpointInfo[]> {
    return [...this.kept];
  }

  async read(id: string): Promise<Checkpoint> {
    const found = this.kept.find((checkpoint) => checkpoint.id === id);
    if (!found) throw new MillraceError('checkpoint-corrupt', `There is no checkpoint ${id}.`);
    return found;
  }

  async latest(counts: (checkpoint: Checkpoint) => Promise<boolean> = async () => true): Promise<Checkpoint | null> {
    for (const checkpoint of this.kept.toReversed()) if (await counts(checkpoint)) return checkpoint;
    return null;
  }

  async prune(keep: number, keepStops: number = Infinity): Promise<void> {
    const stops = this.kept.filter(({ reason }) => reason === 'stop');
    const periodic = this.kept.filter(({ reason }) => !['savepoint', 'deploy', 'stop'].includes(reason));
    const old = [...periodic.slice(0, -keep), ...stops.slice(0, Math.max(0, stops.length - keepStops))];
    for (const each of old) this.kept.splice(this.kept.indexOf(each), 1);
  }
}

export class MemoryLedger implements Ledger {
  readonly entries: LedgerEntry[];

  constructor(entries: readonly LedgerEntry[] = []) {
    this.entries = [...entries];
  }

  async append(entry: LedgerEntry): Promise<number> {
    return this.entries.push(entry);
  }

  async read(from: number): Promise<readonly LedgerEntry[]> {
    return this.entries.slice(from);
  }

  async end(): Promise<number> {
    return this.entries.length;
  }
}

export class MemoryDeadLetters implements DeadLetters {
  readonly letters: DeadLetter[] = [];

  async put(letter: DeadLetter): Promise<void> {
    this.letters.push(letter);
  }
}

/** Dead letters that cannot be written. */
export const deadLettersThatFail: DeadLetters = {
  put: async () => {
    throw new MillraceError('dead-letter-failed', 'The dead letter could not be written.');
  },
};
