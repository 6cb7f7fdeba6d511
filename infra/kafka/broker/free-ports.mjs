import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Two ports of the loopback that nobody listens on, held open together so that they differ.
 *
 * @returns {Promise<[number, number]>}
 */
export async function freePorts() {
  const servers = [createServer(), createServer()];
  const [port = 0, controllerPort = 0] = await Promise.all(servers.map(listen));
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return [port, controllerPort];
}

/**
 * @param {import('node:net').Server} server
 * @returns {Promise<number>}
 */
async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return address && typeof address === 'object' ? address.port : 0;
}
