import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineKind } from '../../../operators/kind.ts';
import type { OperatorKind } from '../../../operators/kind.ts';
import { kinds } from '../../../pipelines/spec/registry.ts';
import { memoryServices } from '../../support/services.ts';

const OPERATORS = new URL('../../../operators/', import.meta.url);

/** What a kind cannot do without, since nothing would be a good default. */
const NEEDED: Readonly<Record<string, object>> = {
  ingest: { topics: ['a', 'b'] },
  publish: { topic: 'a' },
  publishAnswers: { topic: 'a' },
  surprise: { topic: 'a' },
};

describe('the registered kinds', () => {
  it('are all that the operators declare', () => {
    const files = readdirSync(OPERATORS).filter((file) => file.endsWith('.ts'));
    const sources = files.map((file) => readFileSync(new URL(file, OPERATORS), 'utf8'));
    const declared = sources.flatMap((source) => [...source.matchAll(/defineKind\(\{\s+kind: '(\w+)'/g)]);
    expect(new Set(declared.map(([, kind]) => kind))).toEqual(new Set(kinds.map(({ kind }) => kind)));
  });

  it.each(kinds.map((each) => [each.kind, each] as const))('%s says what it does in one sentence', (_, kind) => {
    expect(kind.summary).toMatch(/^[A-Z].+\.$/);
  });

  it.each(kinds.map((each) => [each.kind, each] as const))('%s accepts {} or says what it lacks', (name, kind) => {
    const issues = kind.config.safeParse({}).error?.issues ?? [];
    expect(issues.map(({ path }) => path.join('.'))).toEqual(Object.keys(NEEDED[name] ?? {}));
  });

  it.each(kinds.map((each) => [each.kind, each] as const))('%s builds from what it cannot do without', (_, kind) => {
    const config = kind.config.parse({ ...NEEDED[kind.kind] });
    expect(kind.build('u', config, memoryServices())).toBeTypeOf('function');
    expect(kind.topicsOf(config)).toEqual(Object.values(NEEDED[kind.kind] ?? {}).flat());
  });

  it.each(kinds.map((each) => [each.kind, each] as const))('%s refuses keys that it does not know', (_, { config }) => {
    expect(config.safeParse({ unheardOf: 1 }).error?.issues).toContainEqual(
      expect.objectContaining({ code: 'unrecognized_keys', keys: ['unheardOf'] }),
    );
  });

  it.each(kinds.map((each) => [each.kind, each] as const))(
    '%s describes every field, also in JSON Schema',
    (_, kind) => {
      const { properties = {} } = z.toJSONSchema(kind.config, { io: 'input' });
      const described = expect.objectContaining({ description: expect.stringMatching(/^[A-Z0-9].+\.$/) });
      expect(Object.values(properties)).toEqual(Object.values(properties).map(() => described));
    },
  );
});

describe('defineKind', () => {
  const config = z.strictObject({ topics: z.array(z.string()).default(['text']), size: z.coerce.number().default(3) });

  function built(definition: Partial<Parameters<typeof defineKind<typeof config>>[0]>): OperatorKind {
    const rest = { kind: 'k', summary: 'Does it.', input: 'any', output: 'any', config } as const;
    return defineKind<typeof config>({ ...rest, build: () => (flow) => flow, ...definition });
  }

  it('names the topics of a configuration, none by default', () => {
    expect(built({}).topicsOf({})).toEqual([]);
    const kind = built({ topicsOf: ({ topics }) => topics });
    expect(kind.topicsOf({})).toEqual(['text']);
    expect(kind.topicsOf({ topics: ['a', 'b'] })).toEqual(['a', 'b']);
  });

  it('builds from a parsed configuration, and refuses a bad one', () => {
    const seen: unknown[] = [];
    const kind = built({
      build: (uid, parsed) => {
        seen.push(uid, parsed);
        return (flow) => flow;
      },
    });
    kind.build('u', { size: '4' }, memoryServices());
    expect(seen).toEqual(['u', { topics: ['text'], size: 4 }]);
    expect(() => kind.build('u', { size: 'four' }, memoryServices())).toThrow(/number/);
  });
});
