import { open } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';
import { mkdir } from 'node:fs/promises';
import { MillraceError } from '../../operators/errors.ts';
import { decodeRecord, encodeRecord } from './envelope.ts';
import type { StoredRecord } from './envelope.ts';
import { logFailure } from './failure.ts';

/** `process`: written data outlives the process (SIGKILL too). `power`: it outlives a loss of power. */
export type Durability = 'process' | 'power';

export interface TopicRow {
  readonly partitions: number;
  /** Partitions are numbered across topics: this topic's are `firstId` to `firstId + partitions - 1`. */
  readonly firstId: number;
  readonly retentionBytes?: number;
  readonly retentionMs?: number;
}

export interface PartitionRow {
  readonly start: number;
  readonly end: number;
  /** What its records take, as `storedBytes` counts. */
  readonly bytes: number;
}

/** A group's position in one partition, with its metadata where there is any. */
export type GroupRow = number | { readonly offset: number; readonly metadata: string };

const FORMAT = 1;
const recordCodec = { encode: encodeRecord, decode: decodeRecord };

/**
 * The LMDB environment of one log: five databases and the transactions over them. Reads see one snapshot as long as
 * they are made without an `await` between them.
 */
export class Storage {
  readonly directory: string;
  /** By topic's name. */
  readonly topics: Database<TopicRow, string>;
  /** By partition's id. */
  readonly partitions: Database<PartitionRow, number>;
  /** By partition's id and offset. */
  readonly records: Database<StoredRecord, [number, number]>;
  /** Committed offsets, by group and partition's id. */
  readonly groups: Database<GroupRow, [string, number]>;
  /** How often transactions were opened, by their id. */
  readonly producers: Database<number, string>;
  readonly #root: RootDatabase<number, string>;
  readonly #durability: Durability;

  static async open(directory: string, durability: Durability): Promise<Storage> {
    try {
      await mkdir(directory, { recursive: true });
      const storage = new Storage(directory, durability);
      await storage.#checkFormat();
      return storage;
    } catch (error) {
      throw await logFailure(error, directory);
    }
  }

  private constructor(directory: string, durability: Durability) {
    this.directory = directory;
    this.#durability = durability;
    this.#root = open({
      path: directory,
      noSubdir: false,
      encoding: 'json',
      maxDbs: 8,
      // LMDB would make a promise of its own per turn, whose rejection nobody can handle.
      eventTurnBatching: false,
      // Syncs would have a lock of their own. Whoever is killed holding it would take with it the environments of all others
      // who write at that moment (MDB_PANIC).
      overlappingSync: false,
    });
    const recordOptions = { name: 'records', encoding: 'binary' as const, encoder: recordCodec };
    this.topics = this.#root.openDB({ name: 'topics', encoding: 'json' });
    this.partitions = this.#root.openDB({ name: 'partitions', encoding: 'json' });
    this.records = this.#root.openDB(recordOptions);
    this.groups = this.#root.openDB({ name: 'groups', encoding: 'json' });
    this.producers = this.#root.openDB({ name: 'producers', encoding: 'json' });
  }

  /**
   * Runs `action` in a write transaction: no other process writes meanwhile, and its writes become visible together.
   * Resolves once they have the durability that was asked for. A transaction is not undone when `action` throws, so
   * `action` writes only after all that can fail.
   */
  async write<T>(action: () => T): Promise<T> {
    try {
      const result = await this.#root.transaction(action);
      if (this.#durability === 'power') await this.#root.flushed;
      return result;
    } catch (error) {
      const failure = await logFailure(error, this.directory);
      if (failure !== error) await this.#forgetFailedCommit();
      throw failure;
    }
  }

  /** Makes the reads that follow see what other processes have committed by now. */
  refresh(): void {
    this.#root.resetReadTxn();
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  /** LMDB never settles the flush of a commit that failed, and `close` waits for the last flush: an empty one. */
  async #forgetFailedCommit(): Promise<void> {
    await this.#root.transaction(() => undefined).catch(() => undefined);
  }

  async #checkFormat(): Promise<void> {
    const found = await this.write(() => {
      const format = this.#root.get('format');
      if (format === undefined) this.#root.putSync('format', FORMAT);
      return format ?? FORMAT;
    });
    if (found === FORMAT) return;
    throw new MillraceError(
      'log-failed',
      `The log in ${this.directory} has format ${found}, this version of Millrace knows ${FORMAT}. ` +
        'Use the version that wrote it, or another folder.',
    );
  }
}
