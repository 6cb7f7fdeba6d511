import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { lintGraph } from '../../pipelines/index.ts';
import { registryOf } from '../../pipelines/job/registry.ts';
import { readSecret } from '../../pipelines/job/secrets.ts';

const SECRET = 'c0rrect-h0rse';
const folder = mkdtempSync(join(tmpdir(), 'millrace-secrets-'));
const file = join(folder, 'secret');
writeFileSync(file, `${SECRET}\n`);
afterAll(() => rmSync(folder, { recursive: true }));

describe('a secret', () => {
  it.each([
    [{ env: 'MINE' }, { MINE: SECRET }],
    [{ file }, {}],
    [undefined, { THE_NAME: SECRET }],
    [undefined, { THE_NAME_FILE: file }],
    [{ env: 'MINE' }, { THE_NAME: SECRET, MINE: 'another' }],
    [{ env: 'MINE' }, { THE_NAME_FILE: file, MINE: 'another' }],
  ])('is found where it is kept (case %#)', (spec, env) => {
    expect(readSecret(spec, 'THE_NAME', env)).toBe(SECRET);
  });

  it('need not be there where nobody says so', () => {
    expect(readSecret(undefined, 'THE_NAME', {})).toBeUndefined();
  });

  it.each([
    [{ env: 'MINE' }, {}, 'variable MINE'],
    [{ file: join(folder, 'none') }, {}, 'none, which is to hold a secret, can'],
    [undefined, { THE_NAME_FILE: join(folder, 'none') }, 'none, which is to hold a secret, can'],
  ])('that is said to be somewhere must be there (case %#)', (spec, env, says) => {
    expect(() => readSecret(spec, 'THE_NAME', env)).toThrow(expect.objectContaining({ code: 'config-invalid' }));
    expect(() => readSecret(spec, 'THE_NAME', env)).toThrow(says);
  });
});

function graph(registry: string): string {
  return `name: test
topics: { text: { format: avro } }
schemaRegistry: ${registry}
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
`;
}

describe('a registry in a graph', () => {
  it.each([
    [`{ url: "http://r:8081", username: me, password: ${SECRET} }`, 'does not belong in a graph'],
    [`{ url: "http://r:8081", token: ${SECRET} }`, 'does not belong in a graph'],
    [`{ url: "http://me:${SECRET}@r:8081" }`, 'does not belong in a URL'],
    ['{ url: "r:8081" }', 'must be a URL'],
    ['{ url: "http://r", token: { env: T }, username: me, password: { env: P } }', 'leave out one or the other'],
  ])('is refused with its secret in it, without showing it (case %#)', (registry, says) => {
    const { findings } = lintGraph(graph(registry));
    expect(findings.map(({ message }) => message).join('\n')).toContain(says);
    expect(JSON.stringify(findings)).not.toContain(SECRET);
  });

  it('may say where its secrets are', () => {
    const { findings, graph: parsed } = lintGraph(graph('{ url: "http://r", username: me, password: { env: P } }'));
    expect(findings).toEqual([]);
    expect(registryOf(parsed?.schemaRegistry, { P: SECRET })).not.toBeNull();
    expect(registryOf(undefined, {})).toBeNull();
    expect(
      registryOf(undefined, { MILLRACE_REGISTRY_URL: 'http://r', MILLRACE_REGISTRY_TOKEN: SECRET }),
    ).not.toBeNull();
  });

  it.each([
    [{ MILLRACE_REGISTRY_URL: `http://me:${SECRET}@r` }, 'does not belong in a URL'],
    [{ MILLRACE_REGISTRY_URL: 'http://r', MILLRACE_REGISTRY_USERNAME: 'me' }, 'username but no password'],
    [{ MILLRACE_REGISTRY_URL: 'http://r', MILLRACE_REGISTRY_PASSWORD: SECRET }, 'password but no username'],
  ])('in the environment is checked too (case %#)', (env, says) => {
    expect(() => registryOf(undefined, env)).toThrow(says);
    expect(() => registryOf(undefined, env)).not.toThrow(SECRET);
  });
});
