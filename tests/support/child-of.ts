import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_AGAIN_MS = 10;
const WITHIN_MS = 60_000;

/** The process that runs a module, among those that another has started; waited for where it is not there yet. */
export async function childOf(parent: number | undefined, module: string): Promise<number> {
  for (const startMs = performance.now(); performance.now() < startMs + WITHIN_MS; await sleep(LOOK_AGAIN_MS)) {
    const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
    const row = rows.find((each) => each.includes(module) && Number(each.trim().split(/\s+/)[1]) === parent);
    if (row !== undefined) return Number(row.trim().split(/\s+/)[0]);
  }
  throw new Error(`No process of ${parent} runs ${module}`);
}
