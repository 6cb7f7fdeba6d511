import { readFile, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { createConnection, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import type { Json } from '../../operators/types.ts';
import { replaceFile } from '../durable-files.ts';
import { fromWire, toWire } from '../processes/wire-error.ts';
import type { WireError } from '../processes/wire-error.ts';

/** Answers one kind of request; may tell the asker how far it is. The signal aborts when the asker has gone. */
export type ControlHandler = (input: Json, tell: (progress: Json) => void, signal: AbortSignal) => Promise<Json>;

export interface ControlServer {
  close(): Promise<void>;
}

/** Where the socket is, which a long path of the folder may forbid to be in it. */
const ADDRESS_FILE = 'control.json';
/** Of a Unix socket's address, on every system. */
const MOST_PATH_BYTES = 100;

const addressSchema = z.object({ socket: z.string() });
const requestSchema = z.object({ method: z.string(), input: z.json() });
const answerSchema = z.union([
  z.object({ progress: z.json() }),
  z.object({ output: z.json() }),
  z.object({ error: z.custom<WireError>((value) => typeof value === 'object' && value !== null) }),
]);

/**
 * Lets commands of this machine ask the process that runs a folder's job, over a Unix socket that only its user may open:
 * one request a connection, as lines of JSON. The caller holds the folder's lock, so there is one server at a time.
 */
export async function serveControl(
  folder: string,
  handlers: Readonly<Record<string, ControlHandler>>,
): Promise<ControlServer> {
  const within = join(resolve(folder), 'control.sock');
  const socket =
    Buffer.byteLength(within) <= MOST_PATH_BYTES ? within : join(tmpdir(), `millrace-${randomUUID()}.sock`);
  await rm(socket, { force: true });
  const connections = new Set<Socket>();
  const server = createServer((connection) => {
    connections.add(connection);
    // Who has gone needs no answer.
    connection.on('error', () => {}).on('close', () => connections.delete(connection));
    const lines = createInterface({ input: connection });
    lines.once('line', (line) => void answer(line, handlers, connection));
  });
  await new Promise<void>((done, fail) => {
    // The socket is made within the call, so that nothing else is made with this mask.
    const mask = process.umask(0o177);
    server.once('error', fail).listen(socket, done);
    process.umask(mask);
  });
  await replaceFile(join(folder, ADDRESS_FILE), `${JSON.stringify({ socket })}\n`);
  return {
    async close() {
      for (const connection of connections) connection.destroy();
      await new Promise<void>((done) => server.close(() => done()));
      await rm(join(folder, ADDRESS_FILE), { force: true });
    },
  };
}

async function answer(
  line: string,
  handlers: Readonly<Record<string, ControlHandler>>,
  connection: Socket,
): Promise<void> {
  const say = (message: object): void => void connection.write(`${JSON.stringify(message)}\n`);
  const gone = new AbortController();
  connection.once('close', () => gone.abort());
  try {
    const { method, input } = requestSchema.parse(JSON.parse(line));
    const handle = handlers[method];
    if (!handle)
      throw new MillraceError('bad-usage', `The job that runs here knows no "${method}": is it an older version?`);
    say({ output: await handle(input, (progress) => say({ progress }), gone.signal) });
  } catch (error) {
    say({ error: toWire(error) });
  }
  connection.end();
}

/**
 * Asks the process that runs a folder's job. Resolves with null when none runs there; rejects with what its handler threw,
 * or with `process-died` when it ended before it answered. Who aborts stops waiting: what was asked for goes on.
 */
export async function askControl(
  folder: string,
  method: string,
  input: Json,
  onProgress: (progress: Json) => void = () => {},
  signal?: AbortSignal,
): Promise<{ readonly output: Json } | null> {
  const connection = await connect(folder);
  if (!connection) return null;
  const lines = createInterface({ input: connection });
  const leave = (): void => lines.close();
  signal?.addEventListener('abort', leave);
  try {
    connection.write(`${JSON.stringify({ method, input })}\n`);
    for await (const line of lines) {
      const message = answerSchema.parse(JSON.parse(line));
      if ('progress' in message) onProgress(message.progress);
      else if ('output' in message) return message;
      else throw fromWire(message.error);
    }
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener('abort', leave);
    connection.destroy();
  }
  throw new MillraceError(
    'process-died',
    'The job ended before it answered. Start it again with millrace up: it goes on from its last checkpoint.',
  );
}

async function connect(folder: string): Promise<Socket | null> {
  const text = await readFile(join(folder, ADDRESS_FILE), 'utf8').catch(() => null);
  const address = text === null ? null : addressSchema.safeParse(JSON.parse(text)).data;
  if (!address) return null;
  const connection = createConnection(address.socket);
  return new Promise((done) => {
    // What a process that died has left answers nobody.
    connection.once('connect', () => done(connection)).once('error', () => done(null));
  });
}
