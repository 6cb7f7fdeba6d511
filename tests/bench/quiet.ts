import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { progress } from './report.ts';

const WATCHED_MS = 1000;
const TOLERATED = 0.1;

/**
 * Warns when other processes keep the cores busy. Engines suffer unequally from that: where threads wait for one another
 * at the end of every operation, as PyTorch's do, a step can take many times as long.
 */
export async function warnUnlessQuiet(): Promise<void> {
  const before = processorTimes();
  await sleep(WATCHED_MS);
  const after = processorTimes();
  const busy = 1 - (after.idle - before.idle) / (after.all - before.all);
  if (busy < TOLERATED) return;
  progress(`WARNING: other processes keep the cores ${(100 * busy).toFixed(0)} % busy; comparisons will be wrong`);
}

function processorTimes(): { readonly idle: number; readonly all: number } {
  const times = cpus().map(({ times }) => times);
  const all = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { idle: times.reduce((sum, { idle }) => sum + idle, 0), all };
}
