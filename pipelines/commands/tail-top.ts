import type { Formats, LogRecord, Position, TopicLog } from '../../operators/index.ts';
import { topHead, topLines } from '../terminal/surprise-view.ts';
import { styleFor } from '../terminal/style.ts';
import { readable } from '../topics/encode.ts';
import { follow } from '../topics/follow.ts';
import { readPublished } from '../topics/published.ts';
import type { PublishedSurprise } from '../topics/published.ts';
import { TopSurprises, textAt } from '../topics/top-surprises.ts';
import type { Session } from './session.ts';

export interface TopOptions {
  readonly log: TopicLog;
  readonly topic: string;
  readonly formats: Formats;
  readonly positions: readonly Position[];
  readonly most: number;
  readonly json: boolean;
  /** Ends behind the list of those that are there. */
  readonly untilEnd: boolean;
}

/** Prints the most surprising documents of a topic of surprise, and after that each that comes to be among them. */
export async function tailTop(session: Session, options: TopOptions): Promise<void> {
  const { log, topic, formats, positions, most, json, untilEnd } = options;
  const { signal } = session;
  const top = new TopSurprises(most);
  const style = styleFor(process.stdout);

  const recordsIn = async (records: readonly LogRecord[]): Promise<readonly PublishedSurprise[]> => {
    const values = await Promise.all(records.map((record) => readable(record, formats.of(topic))));
    return values.flatMap(({ value }) => {
      const report = readPublished(value);
      return report?.event === 'surprise' ? [report] : [];
    });
  };
  const print = async (place: number, record: PublishedSurprise): Promise<void> => {
    const text = await textAt(log, formats, record.at, signal);
    await session.print(
      json ? `${JSON.stringify({ place, ...record, text })}\n` : topLines(place, record, text, style),
    );
  };

  let from = positions;
  const ends = new Map((await log.offsets(topic)).map(({ partition, end }) => [partition, end]));
  for await (const records of follow(log, from, { signal, untilEnd: true })) {
    for (const record of await recordsIn(records)) top.add(record);
  }
  if (signal.aborted) return;
  if (!json) await session.print(topHead(top.ranked, top.all.length));
  for (const [at, record] of top.all.entries()) await print(at + 1, record);
  if (untilEnd) return;
  from = positions.map((each) => ({ ...each, offset: Math.max(each.offset, ends.get(each.partition) ?? 0) }));
  for await (const records of follow(log, from, { signal })) {
    for (const record of await recordsIn(records)) {
      const place = top.add(record);
      if (place !== null) await print(place, record);
    }
  }
}
