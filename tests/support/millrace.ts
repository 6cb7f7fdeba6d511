import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../pipelines/millrace.mjs', import.meta.url));

export interface Finished {
  /** Exit code, or null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as people start it, in a process of its own. */
export class Millrace {
  readonly process: ChildProcess;
  /** Lines of standard output so far. */
  readonly lines: string[] = [];
  readonly finished: Promise<Finished>;
  #stderr = '';
  readonly #listeners = new Set<(line: string) => void>();

  constructor(args: readonly string[], options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {}) {
    const child = spawn(process.execPath, [BIN, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', ...options.env },
    });
    this.process = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.lines.push(line);
      for (const listener of this.#listeners) listener(line);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    child.stdin.end(options.input ?? '');
    this.finished = once(child, 'close').then(() => ({
      code: child.exitCode,
      stdout: this.lines.join('\n'),
      stderr: this.#stderr,
    }));
  }

  /** The first line, past or to come, that fits; rejects when the process ends without one. */
  line(fits: (line: string) => boolean): Promise<string> {
    const past = this.lines.find(fits);
    if (past !== undefined) return Promise.resolve(past);
    const seen = new Promise<string>((resolve) => {
      const listener = (line: string): void => {
        if (!fits(line)) return;
        this.#listeners.delete(listener);
        resolve(line);
      };
      this.#listeners.add(listener);
    });
    const ended = this.finished.then(({ code, stdout, stderr }): never => {
      throw new Error(
        `millrace ended with ${code} before the line came.\n${stdout.slice(-2000)}\n${stderr.slice(-2000)}`,
      );
    });
    return Promise.race([seen, ended]);
  }

  /** Tells every line to come. */
  each(tell: (line: string) => void): void {
    this.#listeners.add(tell);
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }
}

/** Runs a command to its end. */
export function millrace(args: readonly string[], input?: string): Promise<Finished> {
  return new Millrace(args, input === undefined ? {} : { input }).finished;
}
