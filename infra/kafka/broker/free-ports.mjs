import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Three ports of the loopback that nobody listens on, held open together so that they differ.
 *
 * @returns {Promise<[number, number, number]>}
 */
export async function freePorts() {
  const servers = [createServer(), createServer(), createServer()];
  const [first = 0, second = 0, third = 0] = await Promise.all(servers.map(listen));
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return [first, second, third];
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
