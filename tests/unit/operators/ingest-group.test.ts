import { expect, describe, it } from 'vitest';
import type { IngestOptions } from '../../../operators/ingest-options.ts';
import { FakeGroup } from '../../support/fake-group.ts';
import type { FakeMember } from '../../support/fake-group.ts';
import { IngestBench, WatchedLog, restoreFrom } from '../../support/ingest-bench.ts';
import { MemoryLedger } from '../../support/memory-stores.ts';
import { settle } from '../../support/settle.ts';

const TEXTS: readonly (readonly string[])[] = [
  ['a0', 'a1', 'a2', 'a3'],
  ['b0', 'b1', 'b2', 'b3'],
];

/** A job of the group at work. Cuts that are let down are stored at once, which makes those count that the group takes. */
function working(
  log: WatchedLog,
  member: FakeMember,
  options: IngestOptions = {},
  react: (bench: IngestBench) => void = () => {},
): IngestBench {
  return new IngestBench(log.topic('text'), { assignments: member, ...options }, (bench) => {
    react(bench);
    const barrier = bench.barriers.at(-1);
    if (bench.seen.at(-1) !== 'barrier' || !barrier) return;
    bench.source.cutCommitted(barrier).catch((error: unknown) => {
      bench.errors.push(error);
      bench.subscription.unsubscribe();
    });
  });
}

async function restarted(log: WatchedLog, member: FakeMember, options: IngestOptions): Promise<IngestBench> {
  const bench = working(log, member, options);
  await settle(5);
  return bench;
}

/** A job that was killed behind its cut at a1. */
async function fallen(log: WatchedLog, member: FakeMember, ledger: MemoryLedger): Promise<IngestBench> {
  const bench = working(log, member, { ledger }, ({ seen, source }) => {
    if (seen.at(-1) === 'a1') source.requestCut('timer');
  });
  await settle(2);
  member.assign(0);
  await settle(5);
  bench.subscription.unsubscribe();
  member.fence(false);
  expect(bench.seen).toEqual(['restore', 'a0', 'a1', 'barrier', 'a2', 'a3']);
  return bench;
}

describe('ingest in a group', () => {
  it('reads what it is given, from where the group says, and nothing before it is given anything', async () => {
    const [log, group] = [await WatchedLog.with(TEXTS), new FakeGroup()];
    group.offsets.set('text/1', 2);
    const member = group.member('job');
    const bench = working(log, member);
    await settle(5);
    expect(bench.seen).toEqual([]);
    member.assign(1);
    await settle(5);
    expect(bench.seen).toEqual(['restore', 'b2', 'b3']);
    expect(bench.source.reads()).toEqual([{ topic: 'text', partition: 1, offset: 4, from: 2 }]);
    // The group knows the job before it reads anything.
    expect(group.commits).toEqual(['job:  | 0+0']);
    bench.subscription.unsubscribe();
  });

  it('hands over at a cut, emits nothing until it is given partitions again, and goes on from where they are', async () => {
    const [log, group] = [await WatchedLog.with(TEXTS), new FakeGroup()];
    const member = group.member('job');
    const bench = working(log, member);
    await settle(2);
    member.assign(0, 1);
    await settle(5);
    await member.askBack();
    await log.add([['a4'], ['b4']]);
    await settle(5);
    expect(bench.seen.slice(-2)).toEqual(['b3', 'barrier']);
    expect(bench.barriers.map(({ reason }) => reason)).toEqual(['handover']);
    expect(group.commits.at(-1)).toBe('job: text/0@4 text/1@4 | 2+0');
    group.offsets.set('text/1', 5);
    member.assign(0);
    await settle(5);
    await member.askBack();
    await log.add([[], ['b5']]);
    member.assign(0, 1);
    await settle(5);
    expect(bench.seen.slice(9)).toEqual(['barrier', 'a4', 'barrier', 'b5']);
    expect([bench.errors, log.openReaders]).toEqual([[], 1]);
    bench.subscription.unsubscribe();
  });

  it('hands over in the midst of a run, which the ledger then says, however full the window is', async () => {
    const [log, group, ledger] = [await WatchedLog.with(TEXTS), new FakeGroup(), new MemoryLedger()];
    const member = group.member('job');
    const bench = working(log, member, { ledger, window: 1 });
    bench.isAbsorbing = false;
    await settle(2);
    member.assign(0, 1);
    await settle(5);
    expect(bench.seen).toEqual(['restore', 'a0']);
    await member.askBack();
    expect(group.commits.at(-1)).toBe('job: text/0@1 text/1@0 | 0+1');
    member.assign(1);
    bench.isAbsorbing = true;
    bench.source.window.give(2);
    await settle(5);
    expect(bench.seen.slice(2)).toEqual(['barrier', 'b0', 'b1', 'b2', 'b3']);
    expect(ledger.entries).toEqual([
      { kind: 'run', topic: 'text', partition: 0, from: 0, count: 4 },
      { kind: 'short', count: 1 },
      { kind: 'run', topic: 'text', partition: 1, from: 0, count: 4 },
    ]);
    bench.subscription.unsubscribe();
    // From the cut of the hand-over, and from one before it that nothing was read by.
    member.fence(false);
    const after = working(log, member, { ledger, ...restoreFrom(bench.lastBarrier) });
    await settle(2);
    member.assign(1);
    await settle(5);
    expect(after.seen).toEqual(['restore', 'b0', 'b1', 'b2', 'b3']);
    after.subscription.unsubscribe();
    const before = working(log, member, { ledger });
    await settle(2);
    member.assign(1);
    await settle(5);
    expect(before.seen).toEqual(['restore', 'a0', 'b0', 'b1', 'b2', 'b3']);
    expect(before.source.reads()).toEqual([{ topic: 'text', partition: 1, offset: 4, from: 0 }]);
    before.subscription.unsubscribe();
  });

  it('waits with no partitions at all, and makes cuts meanwhile', async () => {
    const [log, group] = [await WatchedLog.with(TEXTS), new FakeGroup()];
    const member = group.member('job');
    const bench = working(log, member, { tickEvery: '5ms' });
    await settle(2);
    member.assign();
    await bench.until(3);
    expect(bench.seen.slice(0, 2)).toEqual(['restore', expect.stringMatching(/^tick/)]);
    bench.source.requestCut('savepoint');
    await settle(5);
    expect(group.commits.at(-1)).toMatch(/^job: {2}\| \d+\+0$/);
    await member.askBack();
    member.assign(0);
    while (!bench.seen.includes('a3')) await settle();
    bench.subscription.unsubscribe();
  });

  it('ends with group-fenced when it has lost its partitions, whether it hears of it or finds out at a cut', async () => {
    for (const isTold of [true, false]) {
      const [log, group] = [await WatchedLog.with(TEXTS), new FakeGroup()];
      const member = group.member('job');
      const bench = working(log, member);
      await settle(2);
      member.assign(0);
      await settle(5);
      member.fence(isTold);
      if (!isTold) bench.source.requestCut('timer');
      await settle(5);
      expect(bench.errors).toEqual([expect.objectContaining({ code: 'group-fenced' })]);
      expect([group.commits, log.openReaders]).toEqual([['job:  | 0+0'], 0]);
    }
  });
});

describe('a job that comes back to its group', () => {
  it('plays again what followed the newest cut that counts, when nobody has gone on with it', async () => {
    const [log, group, ledger] = [await WatchedLog.with(TEXTS), new FakeGroup(), new MemoryLedger()];
    const member = group.member('job');
    const { lastBarrier } = await fallen(log, member, ledger);
    const again = working(log, member, { ledger, ...restoreFrom(lastBarrier) });
    await settle(2);
    member.assign(0);
    await settle(5);
    expect([again.seen, again.timelines]).toEqual([['restore', 'a2', 'a3'], [0]]);
    expect(ledger.entries).toHaveLength(1);
    again.subscription.unsubscribe();
  });

  it('undoes it when somebody has, and goes on from where they are', async () => {
    const [log, group, ledger] = [await WatchedLog.with(TEXTS), new FakeGroup(), new MemoryLedger()];
    const member = group.member('job');
    const { lastBarrier } = await fallen(log, member, ledger);
    group.offsets.set('text/0', 3);
    const again = await restarted(log, member, { ledger, ...restoreFrom(lastBarrier) });
    member.assign(0);
    await settle(5);
    expect([again.seen, again.timelines]).toEqual([['restore', 'a3'], [2]]);
    expect(ledger.entries.slice(1)).toEqual([
      { kind: 'undo', to: { entry: 0, played: 2 } },
      { kind: 'run', topic: 'text', partition: 0, from: 3, count: 1 },
    ]);
    again.subscription.unsubscribe();
    // Once more: what follows the undo is this timeline's, and is played again.
    member.fence(false);
    const third = await restarted(log, member, { ledger, ...restoreFrom(lastBarrier) });
    member.assign(0);
    await settle(5);
    expect([third.seen, third.timelines, ledger.entries.length]).toEqual([['restore', 'a3'], [2], 3]);
    third.subscription.unsubscribe();
  });

  it('undoes it also when the partition is now the share of another', async () => {
    const [log, group, ledger] = [await WatchedLog.with(TEXTS), new FakeGroup(), new MemoryLedger()];
    const member = group.member('job');
    const { lastBarrier } = await fallen(log, member, ledger);
    const again = await restarted(log, member, { ledger, ...restoreFrom(lastBarrier) });
    member.assign(1);
    await settle(5);
    expect(again.seen).toEqual(['restore', 'b0', 'b1', 'b2', 'b3']);
    again.subscription.unsubscribe();
  });

  it('begins anew when partitions change hands while it plays again', async () => {
    const [log, group, ledger] = [await WatchedLog.with(TEXTS), new FakeGroup(), new MemoryLedger()];
    const member = group.member('job');
    const { lastBarrier } = await fallen(log, member, ledger);
    const again = working(log, member, { ledger, window: 1, ...restoreFrom(lastBarrier) });
    again.isAbsorbing = false;
    await settle(2);
    member.assign(0);
    await settle(5);
    expect(again.seen).toEqual(['restore', 'a2']);
    await member.askBack();
    member.assign(1);
    await settle(5);
    expect(again.errors).toEqual([expect.objectContaining({ code: 'group-fenced' })]);
    const third = await restarted(log, member, { ledger, ...restoreFrom(again.lastBarrier) });
    group.offsets.set('text/0', 3);
    member.assign(0, 1);
    await settle(5);
    expect(third.seen).toEqual(['restore', 'a3', 'b0', 'b1', 'b2', 'b3']);
    third.subscription.unsubscribe();
  });

  it('says so when the group has forgotten it, and goes on by itself under another name', async () => {
    const [log, group, ledger] = [await WatchedLog.with(TEXTS), new FakeGroup(), new MemoryLedger()];
    const { lastBarrier } = await fallen(log, group.member('job'), ledger);
    const [amnesiac, other] = [new FakeGroup().member('job'), new FakeGroup('other').member('job')];
    const lost = await restarted(log, amnesiac, { ledger, ...restoreFrom(lastBarrier) });
    amnesiac.assign(0);
    await settle(5);
    expect(lost.errors).toEqual([
      expect.objectContaining({ code: 'group-lost', message: expect.stringContaining('--group') }),
    ]);
    const adopted = await restarted(log, other, { ledger, ...restoreFrom(lastBarrier) });
    other.assign(0);
    await settle(5);
    expect(adopted.seen).toEqual(['restore', 'a2', 'a3']);
    adopted.subscription.unsubscribe();
  });
});
