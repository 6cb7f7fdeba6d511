import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TokenSource } from '../../infra/kafka/token-source.ts';
import { TokenServer } from '../support/token-server.ts';

const SECRET = 'c0rrect h0rse+%';
let server: TokenServer;
let tokenUrl: string;

beforeEach(async () => {
  server = new TokenServer(encodeURIComponent(SECRET));
  tokenUrl = await server.listen();
});
afterEach(() => server.close());

function source(clientSecret = SECRET): TokenSource {
  return new TokenSource({ tokenUrl, clientId: 'millrace', clientSecret, scope: 'kafka' });
}

describe('a source of tokens', () => {
  it('asks once for many, and keeps the token for as long as it lives', async () => {
    const tokens = source();
    const found = await Promise.all([tokens.token(), tokens.token(), tokens.token()]);
    expect(new Set([...found, await tokens.token()])).toEqual(new Set(server.given));
    expect(server.asked).toEqual(['grant_type=client_credentials&scope=kafka']);
  });

  it('asks for the next before the last one ends', async () => {
    server.lifeSeconds = 1;
    const tokens = source();
    const first = await tokens.token();
    await sleep(550);
    expect(await tokens.token()).not.toBe(first);
    expect(server.given).toHaveLength(2);
  });

  it('says when the credentials are refused, without showing them, and asks anew', async () => {
    const tokens = source('another-secret');
    const error: unknown = await tokens.token().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'broker-refused',
      message: expect.stringContaining('invalid_client: Who are you?'),
    });
    expect(inspect([error, tokens], { depth: 9 })).not.toContain('another-secret');
    await expect(tokens.token()).rejects.toMatchObject({ code: 'broker-refused' });
    expect(server.asked).toHaveLength(2);
  });

  it('says when nobody answers there, or something else', async () => {
    server.faults = 1;
    await expect(source().token()).rejects.toMatchObject({ code: 'broker-unreachable' });
    await server.close();
    await expect(source().token()).rejects.toMatchObject({
      code: 'broker-unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await server.listen();
  });
});
