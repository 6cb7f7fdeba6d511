import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_AGAIN_MS = 10;
const WITHIN_MS = 60_000;

/** The processes that run a module, among those that another has started. */
export function childrenOf(parent: number | undefined, module: string): readonly number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  return rows
    .filter((each) => each.includes(module))
    .map((each) => each.trim().split(/\s+/).map(Number))
    .filter(([, ppid]) => ppid === parent)
    .flatMap(([pid]) => pid ?? []);
}

/** The first of them, which is waited for. */
export async function childOf(parent: number | undefined, module: string): Promise<number> {
  for (const startMs = performance.now(); performance.now() < startMs + WITHIN_MS; await sleep(LOOK_AGAIN_MS)) {
    const [first] = childrenOf(parent, module);
    if (first !== undefined) return first;
  }
  throw new Error(`No process of ${parent} runs ${module}`);
}
