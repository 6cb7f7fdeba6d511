import { readFileSync } from 'node:fs';

/** The most memory that a process has had so far, in bytes; null where the system does not tell, as outside Linux. */
export function peakRssBytes(pid: number | undefined): number | null {
  return fromStatus(pid, 'VmHWM');
}

/** A process's own memory now, without files that are mapped into it; null where the system does not tell. */
export function ownBytes(pid: number | undefined): number | null {
  return fromStatus(pid, 'RssAnon');
}

function fromStatus(pid: number | undefined, field: string): number | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}
