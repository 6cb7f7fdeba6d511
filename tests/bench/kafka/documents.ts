import type { NewRecord } from '../../../operators/index.ts';
import { sotuRecords } from '../../../pipelines/job/feeds/sotu.ts';

/** Characters of a document; the few that take more than a byte make it some bytes longer. */
const CHARACTERS = 1000;

/** Documents of 1 kB: English text in pieces, as many different ones as the text gives. */
export async function kilobyteDocuments(): Promise<readonly Buffer[]> {
  const text = (await sotuRecords()).map(({ value }) => value?.toString() ?? '').join('\n');
  const whole = Math.floor(text.length / CHARACTERS);
  return Array.from({ length: whole }, (_, at) => Buffer.from(text.slice(at * CHARACTERS, (at + 1) * CHARACTERS)));
}

/** Calls of `size` records each, over and over through the documents, `count` records in all. */
export function* calls(documents: readonly Buffer[], count: number, size: number): Generator<readonly NewRecord[]> {
  for (let from = 0; from < count; from += size) {
    const length = Math.min(size, count - from);
    yield Array.from({ length }, (_, at) => ({ value: documents[(from + at) % documents.length] ?? null }));
  }
}
