import { readFileSync } from 'node:fs';
import { errorCode } from './system-errors.ts';

/** One process of this machine, even after its pid has been given to another. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it was started, in the kernel's clock ticks since boot; null where the kernel does not say. */
  readonly startTicks: number | null;
}

export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, startTicks: startTicksOf(process.pid) };
}

/** Whether that very process still runs. A zombie does not. */
export function isRunning({ pid, startTicks }: ProcessIdentity): boolean {
  const found = statOf(pid);
  if (found) return found.state !== 'Z' && (startTicks === null || found.startTicks === startTicks);
  return startTicks === null && answersSignals(pid);
}

function startTicksOf(pid: number): number | null {
  return statOf(pid)?.startTicks ?? null;
}

function statOf(pid: number): { readonly state: string; readonly startTicks: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Fields are counted from after the command's name, which may hold spaces and brackets: state is the third field of
    // all, the start time the twenty-second.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTicks: Number(fields[19]) };
  } catch {
    return null;
  }
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
