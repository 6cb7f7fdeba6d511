import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A Python script that answers each message with a line of JSON. */
export interface PythonProcess {
  readonly pid: number | undefined;
  send(message: string | Uint8Array): void;
  /** The next line, parsed. Rejects with the process's last words when it ends instead. */
  answer(): Promise<unknown>;
  close(): Promise<void>;
}

export function startPython(
  python: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): PythonProcess {
  const child = spawn(python, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const exited = once(child, 'close');
  let lastWords = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (lastWords = (lastWords + text).slice(-2000)));
  // A broken pipe shows in the answers, which end.
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid,
    send: (message) => void child.stdin.write(message),
    async answer() {
      const { value, done } = await lines.next();
      if (done) throw new Error(`The process of ${args[0]} ended. Its last words:\n${lastWords}`);
      return JSON.parse(value);
    },
    async close() {
      child.stdin.end();
      await exited;
    },
  };
}
