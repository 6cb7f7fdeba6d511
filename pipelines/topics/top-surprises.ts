import { MillraceError } from '../../operators/errors.ts';
import { textIn } from '../../operators/formats.ts';
import type { Formats } from '../../operators/formats.ts';
import { isPoison } from '../../operators/poison.ts';
import type { TopicLog } from '../../operators/ports.ts';
import type { Coordinates } from '../../operators/types.ts';
import type { PublishedSurprise } from './published.ts';

/** The most surprising documents so far, the first first: by standard deviations above those before them. */
export class TopSurprises {
  readonly #most: number;
  #top: PublishedSurprise[] = [];
  #ranked = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get all(): readonly PublishedSurprise[] {
    return this.#top;
  }

  /** Documents that had a rank. */
  get ranked(): number {
    return this.#ranked;
  }

  /** Its place, counted from 1; null where it is not among them. Of equals, the earlier one stands first. */
  add(record: PublishedSurprise): number | null {
    const { sigma } = record;
    if (sigma === null) return null;
    this.#ranked += 1;
    const at = this.#top.findIndex((each) => (each.sigma ?? 0) < sigma);
    const place = at === -1 ? this.#top.length : at;
    if (place >= this.#most) return null;
    this.#top = this.#top.toSpliced(place, 0, record).slice(0, this.#most);
    return place + 1;
  }
}

const READ_WITHIN_MS = 2000;

/** The text of a record; null where retention has dropped it, or it holds none. */
export async function textAt(
  log: TopicLog,
  formats: Formats,
  at: Coordinates,
  signal: AbortSignal,
): Promise<string | null> {
  const reader = log.reader([at]);
  try {
    const [record] = await reader.poll({ maxRecords: 1, waitMs: READ_WITHIN_MS, signal });
    if (!record?.value || record.offset !== at.offset) return null;
    const format = formats.of(at.topic);
    return textIn(await format.read(record.value), format, record.value);
  } catch (error) {
    if (isPoison(error) || (error instanceof MillraceError && error.code === 'offset-out-of-range')) return null;
    throw error;
  } finally {
    await reader.close();
  }
}
