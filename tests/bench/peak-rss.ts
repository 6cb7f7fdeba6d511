import { readFileSync } from 'node:fs';

/** The most memory that a process has had so far, in bytes; null where the system does not tell, as outside Linux. */
export function peakRssBytes(pid: number | undefined): number | null {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}
