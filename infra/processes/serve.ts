import { answer } from './rpc.ts';
import type { Answer, Methods, Request } from './rpc.ts';

/**
 * Makes this process a host: it answers its parent's requests, and ends when the parent closes it or dies.
 *
 * Ctrl-C in a terminal goes to the whole group of processes, and service managers stop whole groups too. The host lets
 * such signals pass: its parent still needs it to make a savepoint, and closes it then.
 */
export function serve(methods: (emit: (event: unknown) => void) => Methods): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.on('disconnect', () => process.exit(0));
  const known = methods((event) => send({ kind: 'event', event }));
  process.on('message', (request: Request<never>) => void answer(known, request, send));
  if (!process.connected) process.exit(0);
}

function send(message: Answer): void {
  // An error here means that the parent is gone, which `disconnect` takes care of.
  process.send?.(message, undefined, undefined, () => undefined);
}
