import type { OperatorFunction } from 'rxjs';
import type { z } from 'zod';
import { Tally } from './counts.ts';
import type { Element, Uid } from './flow.ts';
import { lineRules } from './filtering/keep-lines.ts';
import { loadLanguages } from './filtering/language.ts';
import type { LanguageOf } from './filtering/language.ts';
import { Page } from './filtering/page.ts';
import { rulesOf } from './filtering/rules.ts';
import { filterSchema } from './filtering/settings.ts';
import type { FilterRules, FilterSettings } from './filtering/settings.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import type { DeadLetters } from './ports.ts';
import { stateful } from './stateful.ts';
import type { Document } from './types.ts';

export interface FilterOptions extends Partial<FilterRules> {
  readonly uid?: Uid;
  readonly languages?: readonly string[];
  /** Where documents go that are dropped; nowhere if absent. */
  readonly deadLetters?: DeadLetters;
}

/**
 * Emits the documents that break none of the rules, without the lines that break one of C4's for lines. A rule that is not
 * given is as `filterSchema` has it.
 *
 * Order: kept. Backpressure: what is dropped gives its bytes back, and a shorter text goes on under its own. Errors: where
 * dead letters are wanted, `dead-letter-failed` ends the flow. Counts: documents `kept` and `dropped`, the latter by the first
 * rule that they break, and lines `taken out`, by rule. Snapshot: the counts.
 *
 * @example
 * flow.pipe(filter({ stopWords: false, languages: ['de', 'fr'] }))
 */
export function filter(options: FilterOptions = {}): OperatorFunction<Element<Document>, Element<Document>> {
  const { uid = 'filter', deadLetters, ...given } = options;
  const settings: FilterSettings = filterSchema.parse(given);
  const { languages } = settings;
  const lineRule = lineRules(settings);
  const rules = rulesOf(settings);
  let detector: LanguageOf | null = null;

  const judged = (document: Document, tally: Tally, languageOf: LanguageOf | null): Document | Promise<null> | null => {
    const text = lineRule ? withoutLines(document.text, lineRule, tally) : document.text;
    const page = new Page(text);
    const broken = text === '' ? 'empty' : rules.find((rule) => rule.isBroken(page))?.name;
    const reason = broken ?? (languageOf && !languages.includes(languageOf(text)) ? 'languages' : null);
    if (reason === null) {
      tally.add('kept', 'documents');
      return text === document.text ? document : { ...document, text, byteCount: Buffer.byteLength(text) };
    }
    tally.add('dropped', reason);
    return deadLetters ? bury(document, reason, deadLetters) : null;
  };

  return stateful<Document, Document, Tally>(uid, {
    init: () => new Tally(),
    next: (tally, document) => {
      if (languages.length > 0 && !detector) {
        return loadLanguages().then(async (loaded) => {
          detector = loaded;
          return listed(await judged(document, tally, detector));
        });
      }
      const result = judged(document, tally, detector);
      return result instanceof Promise ? result.then(listed) : listed(result);
    },
    snapshot: (tally) => tally.snapshot(),
    restore: (json) => Tally.restored(json),
    bytes: ({ byteCount }) => byteCount,
    counts: (tally) => tally.counts,
  });
}

function listed(document: Document | null): readonly Document[] {
  return document ? [document] : [];
}

/** The text without the lines that break a rule, which are counted. */
function withoutLines(text: string, ruleOf: (line: string) => string | null, tally: Tally): string {
  const lines = text.split('\n');
  const kept = lines.filter((line) => {
    const rule = line.trim() === '' ? null : ruleOf(line);
    if (rule !== null) tally.add('taken out', rule);
    return rule === null;
  });
  if (kept.length === lines.length) return text;
  const rest = kept.join('\n');
  return rest.trim() === '' ? '' : rest;
}

async function bury({ at, text }: Document, rule: string, deadLetters: DeadLetters): Promise<null> {
  const message = `The document breaks rule ${rule} of the filter. Loosen the rule, or set it to false.`;
  await deadLetters.put({ at, key: null, value: Buffer.from(text), code: 'document-filtered', message });
  return null;
}

export const filterKind: OperatorKind = defineKind({
  kind: 'filter',
  summary: 'Drops documents by the rules of Gopher and C4, and by language.',
  input: 'document',
  output: 'document',
  state: 'counts of what it has dropped',
  config: filterSchema,
  build: (uid, { deadLetters: isWanted, ...rules }: z.output<typeof filterSchema>, { deadLetters }) =>
    filter({ uid, ...rules, ...(isWanted ? { deadLetters } : {}) }),
});
