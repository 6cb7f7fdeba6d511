import { setTimeout as sleep } from 'node:timers/promises';
import type { Millrace } from './millrace.ts';

/** Kills a job again and again: every third time on its way up, else between its first step and some seconds later. */
export async function killOften(start: () => Millrace, kills: number, random: () => number): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    const run = start();
    if (kill % 3 > 0) await Promise.race([run.line((line) => line.includes('"event":"step"')), run.finished]);
    await sleep(random() * 2500);
    run.kill('SIGKILL');
    await run.finished;
  }
}
