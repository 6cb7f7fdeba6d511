import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Enough of the output to see why a start failed. */
const TAIL_LINES = 30;

/**
 * Prints the pid of the program that it runs, and kills it as soon as standard input ends: the pipe's other end is with
 * whoever started this, and closes with them however they die.
 */
const guard = `"$@" < /dev/null & pid=$!
echo "$pid"
exec 3<&0
{ cat <&3 > /dev/null; kill -9 "$pid" 2> /dev/null; } > /dev/null 2>&1 &
wait "$pid"`;

/** A program that dies with this process, in a group of its own so that Ctrl-C reaches only this process. */
export class JavaProcess {
  /** @type {Promise<void>} resolves once it is gone */
  exited;
  /** @type {string[]} */
  #tail = [];
  /** @type {Set<(line: string) => void>} */
  #listeners = new Set();
  /** @type {Promise<number>} */
  #pid;

  /** @param {readonly string[]} command */
  constructor(command) {
    const child = spawn('sh', ['-c', guard, 'sh', ...command], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    child.stdin.on('error', () => undefined); // it went first
    const lines = createInterface({ input: child.stdout });
    this.#pid = once(lines, 'line').then(([line]) => Number(line));
    for (const input of [lines, createInterface({ input: child.stderr })]) {
      input.on('line', (line) => this.#hear(line));
    }
    this.exited = once(child, 'exit').then(() => {
      child.stdin.end();
    });
  }

  /**
   * Resolves when it prints a line that holds the text; rejects, with the end of its output, when it ends or takes longer.
   *
   * @param {string} text
   * @param {number} withinMs
   */
  async line(text, withinMs) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const printed = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`nothing after ${withinMs / 1000} s\n${this.#output}`)), withinMs);
      this.#listeners.add((line) => {
        if (line.includes(text)) resolve(undefined);
      });
    });
    const ended = this.exited.then(() => Promise.reject(new Error(`it ended\n${this.#output}`)));
    ended.catch(() => undefined);
    await Promise.race([printed, ended]).finally(() => clearTimeout(timer));
    this.#listeners.clear();
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    void this.#pid.then((pid) => {
      try {
        process.kill(pid, signal);
      } catch {
        // It is gone already.
      }
    });
  }

  get #output() {
    return this.#tail.join('\n');
  }

  /** @param {string} line */
  #hear(line) {
    this.#tail = [...this.#tail, line].slice(-TAIL_LINES);
    for (const listener of this.#listeners) listener(line);
  }
}
