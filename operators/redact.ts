import type { OperatorFunction } from 'rxjs';
import { getCountries } from 'libphonenumber-js/max';
import type { CountryCode } from 'libphonenumber-js/max';
import { z } from 'zod';
import { Tally } from './counts.ts';
import type { Element, Uid } from './flow.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { findAddresses } from './redaction/find-addresses.ts';
import { findCards } from './redaction/find-cards.ts';
import { findEmails } from './redaction/find-emails.ts';
import { findIbans } from './redaction/find-ibans.ts';
import { phoneFinder } from './redaction/find-phones.ts';
import { findSecrets } from './redaction/find-secrets.ts';
import { hitsOf, mergeHits, redactedKinds } from './redaction/hit.ts';
import type { Finder, Hit, RedactedKind } from './redaction/hit.ts';
import { stateful } from './stateful.ts';
import type { Document } from './types.ts';

export interface RedactOptions {
  readonly uid?: Uid;
  /** All but hashes by default. */
  readonly kinds?: readonly RedactedKind[];
  /** Whose telephone numbers are found that are written without `+`; the United States by default. */
  readonly phoneCountries?: readonly CountryCode[];
}

const USUAL: readonly RedactedKind[] = redactedKinds.filter((kind) => kind !== 'hash');

/**
 * Emits each document with what must not be learnt by heart replaced by placeholders: `<EMAIL>`, `<PHONE>`, `<CARD>`,
 * `<IBAN>`, `<IP>`, `<HASH>`, and of secrets `<API_KEY>`, `<JWT>`, `<PRIVATE_KEY>`, `<PASSWORD>`, `<SECRET>`. The byte count is
 * that of the new text. A text that is redacted again stays as it is.
 *
 * Order: kept. Backpressure: the new text's bytes in place of the old ones. Errors: none of its own. Counts: `redacted`, by
 * kind. Snapshot: the counts.
 */
export function redact(options: RedactOptions = {}): OperatorFunction<Element<Document>, Element<Document>> {
  const find = hitFinder(options);
  return stateful<Document, Document, Tally>(options.uid ?? 'redact', {
    init: () => new Tally(),
    next: (tally, document) => {
      const hits = find(document.text);
      if (hits.length === 0) return [document];
      for (const { kind } of hits) tally.add('redacted', kind);
      const text = replaced(document.text, hits);
      return [{ ...document, text, byteCount: Buffer.byteLength(text) }];
    },
    snapshot: (tally) => tally.snapshot(),
    restore: (json) => Tally.restored(json),
    bytes: ({ byteCount }) => byteCount,
    counts: (tally) => tally.counts,
  });
}

/** A hit, and the kind that it is counted as. */
interface KindOfHit extends Hit {
  readonly kind: RedactedKind;
}

/** Finds what `redact` replaces, in order and apart; where two kinds overlap, the one that stands first in `redactedKinds`. */
export function hitFinder({
  kinds = USUAL,
  phoneCountries = ['US'],
}: RedactOptions): (text: string) => readonly KindOfHit[] {
  const all: Readonly<Record<RedactedKind, Finder>> = {
    secret: findSecrets,
    card: findCards,
    iban: findIbans,
    email: findEmails,
    phone: phoneFinder(phoneCountries),
    ip: findAddresses,
    hash: (text) => hitsOf(text, HASH, '<HASH>', ([hash]) => /\d/.test(hash) && /[a-f]/i.test(hash)),
  };
  const wanted = redactedKinds.filter((kind) => kinds.includes(kind));
  return (text) =>
    wanted
      .map((kind) => all[kind](text).map((hit): KindOfHit => ({ ...hit, kind })))
      .reduce<readonly KindOfHit[]>(mergeHits, []);
}

/** MD5, SHA-1, SHA-256 or SHA-512 in hex. */
const HASH = /(?<![\w])(?:[\da-f]{32}|[\da-f]{40}|[\da-f]{64}|[\da-f]{128})(?![\w])/gi;

function replaced(text: string, hits: readonly Hit[]): string {
  let result = '';
  let from = 0;
  for (const { start, end, placeholder } of hits) {
    result += text.slice(from, start) + placeholder;
    from = end;
  }
  return result + text.slice(from);
}

export const redactKind: OperatorKind = defineKind({
  kind: 'redact',
  summary: 'Puts placeholders such as `<EMAIL>` where a document has personal data or secrets.',
  input: 'document',
  output: 'document',
  state: 'counts of what it has redacted',
  config: z.strictObject({
    kinds: z
      .array(z.enum(redactedKinds))
      .min(1)
      .default([...USUAL])
      .describe('What is redacted; `hash` finds hashes in hex.'),
    phoneCountries: z
      .array(z.enum(getCountries()))
      .default(['US'])
      .describe('Countries (ISO 3166) whose numbers are found without `+` too.'),
  }),
  build: (uid, config) => redact({ uid, ...config }),
});
