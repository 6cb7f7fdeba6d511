import { createHash } from 'node:crypto';
import { defineKind, stateful } from 'millrace/operators';
import type { Document, OperatorKind } from 'millrace/operators';
import { z } from 'zod';

/** Passes on a document only when its very text is not among the last ones. */
export const dropDuplicates: OperatorKind = defineKind({
  kind: 'dropDuplicates',
  summary: 'Drops documents whose very text has just been trained on.',
  input: 'document',
  output: 'document',
  state: 'digests of the last documents',
  config: z.strictObject({
    remember: z.int().positive().default(10_000).describe('Documents that are remembered.'),
  }),
  build: (uid, { remember }) =>
    stateful<Document, Document, Set<string>>(uid, {
      init: () => new Set(),
      next(digests, document) {
        const digest = createHash('sha256').update(document.text).digest('base64');
        if (digests.has(digest)) return [];
        digests.add(digest);
        const [oldest] = digests;
        if (digests.size > remember && oldest !== undefined) digests.delete(oldest);
        return [document];
      },
      snapshot: (digests) => [...digests],
      restore: (json) => new Set(z.array(z.string()).parse(json)),
      bytes: ({ byteCount }) => byteCount,
    }),
});
