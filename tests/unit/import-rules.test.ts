import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import type { ICruiseOptions, IForbiddenRuleType, IViolation } from 'dependency-cruiser';
import { beforeAll, describe, expect, test } from 'vitest';

interface RuleFile {
  readonly forbidden: readonly (IForbiddenRuleType & { readonly name: string })[];
  readonly options: ICruiseOptions;
}

const load: (path: string) => RuleFile = createRequire(import.meta.url);
const { forbidden, options } = load('../../.dependency-cruiser.cjs');
/** A small house of the same shape that breaks every rule once, and has two files that break none. */
const fixture = fileURLToPath(new URL('../fixtures/imports', import.meta.url));

describe('import rules', () => {
  let violations: readonly IViolation[] = [];

  beforeAll(async () => {
    const { exclude: _, tsConfig: __, ...rest } = options;
    const { output } = await cruise(['model', 'operators', 'infra', 'pipelines', 'tests'], {
      ...rest,
      baseDir: fixture,
      validate: true,
      ruleSet: { forbidden: [...forbidden] },
    });
    if (typeof output === 'string') throw new Error(`a report was asked for, not ${output}`);
    violations = output.summary.violations;
  });

  test.each(forbidden.map(({ name }) => name))('%s is caught', (name) => {
    expect(violations.map(({ rule }) => rule.name)).toContain(name);
  });

  test('types of the model and types that go round are allowed in operators', () => {
    expect(violations.filter(({ from }) => from.startsWith('operators/allowed'))).toEqual([]);
  });
});
