import { firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../operators/errors.ts';
import type { Coordinates } from '../../operators/index.ts';
import { streamLog } from '../../pipelines/job/stream-log.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { Deferred, settle } from '../support/settle.ts';

class SlowLog extends MemoryLog {
  readonly acknowledgement = new Deferred<readonly Coordinates[]>();

  override produce(): Promise<readonly Coordinates[]> {
    return this.acknowledgement.promise;
  }

  override async commit(): Promise<void> {
    throw new MillraceError('broker-unreachable', 'No broker answers.');
  }
}

const silent = { info: () => {}, warn: () => {} };

describe("a stream's log", () => {
  it('is settled when all that was produced has been acknowledged, or has failed', async () => {
    const slow = new SlowLog();
    const log = streamLog(slow, silent);
    await log.settled();
    const producing = log.produce('text', [{ value: 'x' }]);
    let isSettled = false;
    const settling = log.settled().then(() => (isSettled = true));
    await settle();
    expect(isSettled).toBe(false);
    slow.acknowledgement.reject(new Error('gone'));
    await expect(producing).rejects.toThrow('gone');
    await settling;
  });

  it('gives topics that lead back to it, so that what reads them is counted too', async () => {
    const memory = new MemoryLog();
    await memory.createTopic('text');
    const log = streamLog(memory, silent);
    expect(await firstValueFrom(log.topic('text'))).toEqual({ name: 'text', partitions: 1, log });
  });

  it('reports a commit that fails, and goes on', async () => {
    const warnings: string[] = [];
    const log = streamLog(new SlowLog(), { ...silent, warn: (message) => void warnings.push(message) });
    await log.commit('watchers', [{ topic: 'text', partition: 0, offset: 1 }]);
    expect(warnings).toEqual([expect.stringMatching(/group watchers .*No broker answers/)]);
  });
});
