import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CheckpointStore, Cut } from '../../operators/ports.ts';
import type { CutReason, SnapshotFile } from '../../operators/types.ts';

/** A store under test. */
export interface OpenedStore {
  readonly store: CheckpointStore;
  /** The same store, as a later process finds it. */
  reopen(): Promise<CheckpointStore>;
  /** A file as an operator stages it for the next cut. */
  stage(name: string, bytes: Uint8Array): Promise<SnapshotFile>;
  close(): Promise<void>;
}

/** What every `CheckpointStore` guarantees. */
export function describeCheckpointStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(`${name} as a CheckpointStore`, () => {
    let opened: OpenedStore;
    let store: CheckpointStore;

    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(() => opened.close());

    it('has nothing at first', async () => {
      expect(await store.list()).toEqual([]);
      expect(await store.latest()).toBeNull();
      await store.prune(1);
    });

    it('gives back states and files as they were put in', async () => {
      const weights = randomBytes(2_000_000);
      const state = { text: 'naïve ☃', list: [1, -0.5, 1e-300, null, true, { deep: [] }], empty: {} };
      const info = await store.put({
        reason: 'steps',
        states: new Map([
          ['train', { state: { step: 3 }, files: [await opened.stage('weights.bin', weights)] }],
          ['batch', { state }],
        ]),
      });
      expect(info).toMatchObject({ reason: 'steps', bytes: weights.byteLength });
      const checkpoint = await store.read(info.id);
      expect(checkpoint).toMatchObject(info);
      expect(checkpoint.states.get('batch')).toEqual({ state });
      expect(checkpoint.states.get('train')?.state).toEqual({ step: 3 });
      const [file] = checkpoint.states.get('train')?.files ?? [];
      expect(file?.name).toBe('weights.bin');
      expect(weights.equals(await readFile(file?.path ?? ''))).toBe(true);
    });

    it('takes staged files over', async () => {
      const staged = await opened.stage('weights.bin', randomBytes(10));
      await store.put({ reason: 'timer', states: new Map([['train', { state: null, files: [staged] }]]) });
      await expect(readFile(staged.path)).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('orders ids by time, however often it is opened, and knows the latest', async () => {
      const ids: string[] = [];
      for (const reason of ['timer', 'savepoint', 'steps', 'final'] as const) {
        ids.push((await store.put(cut(reason))).id);
        store = await opened.reopen();
      }
      expect(ids.toSorted()).toEqual(ids);
      expect(new Set(ids).size).toBe(4);
      expect((await store.list()).map(({ id }) => id)).toEqual(ids);
      expect((await store.latest())?.id).toBe(ids[3]);
    });

    it('carries out calls that are made at once in their order', async () => {
      const infos = await Promise.all([store.put(cut('timer')), store.put(cut('steps')), store.put(cut('final'))]);
      expect((await store.list()).map(({ id }) => id)).toEqual(infos.map(({ id }) => id));
    });

    it('prunes periodic checkpoints, and leaves savepoints alone', async () => {
      const reasons = ['savepoint', 'timer', 'steps', 'savepoint', 'timer', 'final'] as const;
      const ids: string[] = [];
      for (const reason of reasons) ids.push((await store.put(cut(reason))).id);
      await store.prune(2);
      expect((await store.list()).map(({ id }) => id)).toEqual([ids[0], ids[3], ids[4], ids[5]]);
      await store.prune(2);
      expect(await store.list()).toHaveLength(4);
      await store.prune(0);
      expect((await store.list()).map(({ reason }) => reason)).toEqual(['savepoint', 'savepoint']);
      expect((await store.put(cut('timer'))).id > (ids[5] ?? '')).toBe(true);
    });

    it('prunes savepoints of stops, and leaves those alone that somebody asked for', async () => {
      const reasons = ['stop', 'savepoint', 'stop', 'deploy', 'stop'] as const;
      const ids: string[] = [];
      for (const reason of reasons) ids.push((await store.put(cut(reason))).id);
      await store.prune(1);
      expect(await store.list()).toHaveLength(5);
      await store.prune(1, 2);
      expect((await store.list()).map(({ id }) => id)).toEqual(ids.slice(1));
      await store.prune(1, 1);
      expect((await store.list()).map(({ reason }) => reason)).toEqual(['savepoint', 'deploy', 'stop']);
    });

    it('refuses what it cannot carry, and is as before', async () => {
      const before = await store.put(cut('timer'));
      const file = await opened.stage('same.bin', randomBytes(10));
      const bad: Cut['states'][] = [
        new Map([['train', { state: { loss: Number.NaN } }]]),
        new Map([['train', { state: null, files: [{ name: 'gone.bin', path: `${file.path}.gone` }] }]]),
        new Map([['train', { state: null, files: [{ name: '../up.bin', path: file.path }] }]]),
        new Map(['one', 'two'].map((uid) => [uid, { state: null, files: [file] }])),
      ];
      for (const states of bad) {
        const put = store.put({ reason: 'timer', states });
        await expect(put).rejects.toMatchObject({ code: 'checkpoint-write-failed' });
      }
      expect((await store.list()).map(({ id }) => id)).toEqual([before.id]);
    });

    it('knows only its own ids', async () => {
      await store.put(cut('timer'));
      for (const id of ['', '..', '999999999', 'x']) {
        await expect(store.read(id)).rejects.toMatchObject({ code: 'bad-usage' });
      }
    });
  });
}

function cut(reason: CutReason): Cut {
  return { reason, states: new Map([['ingest', { state: { offset: 1 } }]]) };
}
