import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../../../operators/ports.ts';
import { beyond, firstRuns, standingFrom } from '../../../operators/standing.ts';

const TICK: LedgerEntry = { kind: 'tick', atMs: 1 };
const NOTHING_YET = { entry: 0, played: 0 };

function undo(entry: number, played: number): LedgerEntry {
  return { kind: 'undo', to: { entry, played } };
}

function run(partition: number, from: number, count: number): LedgerEntry & { kind: 'run' } {
  return { kind: 'run', topic: 'text', partition, from, count };
}

describe('what stands of a ledger', () => {
  it('is all of it where nothing was handed over or undone', () => {
    const entries = [run(0, 0, 5), TICK, run(1, 0, 5)];
    expect(standingFrom(NOTHING_YET, entries)).toEqual({ entries, undoneAt: null, isUndone: false });
  });

  it('has runs that were handed over as far as they went', () => {
    const entries = [run(0, 0, 5), { kind: 'short', count: 2 }, run(1, 0, 5), { kind: 'short', count: 0 }] as const;
    expect(standingFrom(NOTHING_YET, entries).entries).toEqual([run(0, 0, 2), null, null, null]);
  });

  it('has nothing between what was undone and where that was said', () => {
    const entries = [TICK, run(0, 0, 5), TICK, run(1, 0, 5), undo(11, 3), run(0, 9, 1)];
    const standing = standingFrom({ entry: 10, played: 0 }, entries);
    expect(standing.entries).toEqual([TICK, run(0, 0, 3), null, null, null, run(0, 9, 1)]);
    expect([standing.undoneAt, standing.isUndone]).toEqual([15, false]);
    const whole = standingFrom({ entry: 10, played: 0 }, [TICK, TICK, undo(11, 0)]);
    expect(whole.entries).toEqual([TICK, null, null]);
  });

  it('undoes what was undone and short before, one after the other', () => {
    const entries: readonly LedgerEntry[] = [
      run(0, 0, 5),
      { kind: 'short', count: 4 },
      undo(0, 3),
      run(1, 0, 2),
      undo(0, 1),
    ];
    expect(standingFrom(NOTHING_YET, entries)).toEqual({
      entries: [run(0, 0, 1), null, null, null, null],
      undoneAt: 5,
      isUndone: false,
    });
  });

  it('has nothing of a run that went no further than the cut', () => {
    const entries: readonly LedgerEntry[] = [run(0, 0, 5), undo(7, 2), TICK];
    expect(standingFrom({ entry: 7, played: 2 }, entries).entries).toEqual([null, null, TICK]);
  });

  it('tells when also what lies before was undone', () => {
    expect(standingFrom({ entry: 7, played: 2 }, [run(0, 0, 5), undo(6, 0)]).isUndone).toBe(true);
    expect(standingFrom({ entry: 7, played: 2 }, [run(0, 0, 5), undo(7, 1)]).isUndone).toBe(true);
    expect(standingFrom({ entry: 7, played: 2 }, [run(0, 0, 5), undo(7, 2)]).isUndone).toBe(false);
  });
});

it('says what lies beyond another place', () => {
  const cut = { entry: 3, played: 0 };
  const standing = standingFrom(cut, [run(0, 0, 5), TICK, run(1, 0, 5)]);
  expect(beyond(cut, standing, cut)).toEqual({ begun: null, entries: standing.entries });
  const rest = [TICK, run(1, 0, 5)];
  expect(beyond(cut, standing, { entry: 3, played: 4 })).toEqual({ begun: run(0, 0, 5), entries: rest });
  expect(beyond(cut, standing, { entry: 3, played: 5 })).toEqual({ begun: null, entries: rest });
  expect(beyond(cut, standing, { entry: 6, played: 0 })).toEqual({ begun: null, entries: [] });
});

it('says where each partition was read first', () => {
  const runs = [null, run(1, 4, 5), TICK, run(0, 2, 1), run(1, 30, 1)];
  expect([...firstRuns(runs)]).toEqual([
    ['text/1', { topic: 'text', partition: 1, offset: 4 }],
    ['text/0', { topic: 'text', partition: 0, offset: 2 }],
  ]);
});
