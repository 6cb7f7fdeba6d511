import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MillraceError } from '../../operators/errors.ts';
import type { Logger } from '../../operators/ports.ts';
import { RpcClient } from './rpc.ts';
import type { Answer, Input, Methods, Output, Request } from './rpc.ts';

export interface HostOptions<E> {
  /** What people call the process. */
  readonly name: string;
  /** Module beside this one that calls `serve`, without its extension. */
  readonly module: string;
  /** Added to this process's environment; TensorFlow reads its settings from there. */
  readonly env: Readonly<Record<string, string>>;
  /** Gets what the process writes to its standard output and standard error. */
  readonly logger: Logger;
  readonly onEvent: (event: E) => void;
}

/** What TensorFlow says at its start before it has read its log level: information, and that it may come early. */
const chatter = /^(WARNING: All log messages before absl|I\d{4} )/;
const lastLinesKept = 20;
/** How long a closed process may take to end; a training step of the largest model takes seconds. */
const closeGraceMs = 30_000;
/** How long to wait for the last lines of a dead process, which its own children may hold open. */
const drainMs = 500;

/**
 * A child process that is asked over its channel. When it dies, calls under way and later ones reject with
 * `process-died`. It never outlives this process, however that ends.
 */
export class Host<M extends Methods, E> {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #rpc: RpcClient<M, E>;
  readonly #exited: Promise<unknown>;
  readonly #lastLines: string[] = [];

  constructor({ name, module, env, logger, onEvent }: HostOptions<E>) {
    this.#name = name;
    this.#child = forkModule(module, env);
    this.#rpc = new RpcClient((request) => this.#send(request), onEvent);
    this.#child.on('message', (answer: Answer<E, never>) => this.#rpc.receive(answer));
    const log = (line: string): void => {
      if (chatter.test(line)) return;
      this.#lastLines.push(line);
      if (this.#lastLines.length > lastLinesKept) this.#lastLines.shift();
      logger.warn(line, { process: name });
    };
    const drained = [this.#child.stdout, this.#child.stderr].map((stream) => readLines(stream, log));
    this.#child.on('error', (cause) => this.#fail(`could not be started: ${cause.message}`, cause));
    this.#exited = once(this.#child, 'exit').then(async ([code, signal]) => {
      await Promise.race([Promise.all(drained), sleep(drainMs)]);
      this.#fail(signal ? `was ended by ${signal}` : `ended with exit code ${code}`);
    });
    // Its rejection is the same event as `error` above.
    this.#exited.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  call<K extends keyof M & string>(method: K, input: Input<M, K>): Promise<Output<M, K>> {
    return this.#rpc.call(method, input);
  }

  /** Resolves when the process has ended. What it is doing now is finished first; calls that wait are rejected. */
  async close(): Promise<void> {
    this.#rpc.fail(new MillraceError('process-died', `The ${this.#name} process was closed.`));
    if (this.#child.connected) this.#child.disconnect();
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), closeGraceMs);
    await this.#exited.catch(() => undefined);
    clearTimeout(kill);
  }

  #send(request: Request): void {
    // A failed send means that the process is gone; its exit then rejects the call.
    this.#child.send(request, () => undefined);
  }

  #fail(how: string, cause?: Error): void {
    const words = this.#lastLines.length > 0 ? ` Its last words:\n${this.#lastLines.join('\n')}` : '';
    const advice = 'Start again from the last checkpoint; if it was ended by SIGKILL, memory may have run out.';
    const message = `The ${this.#name} process ${how}. ${advice}${words}`;
    this.#rpc.fail(new MillraceError('process-died', message, cause ? { cause } : {}));
  }
}

/** Runs sources as they are, through tsx, or the compiled modules, whichever this module is. */
function forkModule(module: string, env: Readonly<Record<string, string>>): ChildProcess {
  const extension = extname(fileURLToPath(import.meta.url));
  const path = fileURLToPath(new URL(`./${module}${extension}`, import.meta.url));
  return fork(path, {
    env: { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env, ...env },
    // Not this process's own arguments, among which may be a debugger's port.
    execArgv: extension === '.ts' ? ['--import', tsxLoader()] : [],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

function tsxLoader(): string {
  return pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
}

async function readLines(stream: Readable | null, log: (line: string) => void): Promise<void> {
  if (!stream) return;
  for await (const line of createInterface({ input: stream })) log(line);
}
