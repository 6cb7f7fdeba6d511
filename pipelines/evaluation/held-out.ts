import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MillraceError } from '../../operators/errors.ts';
import { textIn } from '../../operators/formats.ts';
import type { Formats } from '../../operators/formats.ts';
import type { HeldOutSpec } from '../../operators/held-out-spec.ts';
import { isHeldOut } from '../../operators/holdout.ts';
import type { Position, TopicLog } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';
import { toBytes } from '../../operators/units.ts';
import { heldOutShare } from '../spec/streams.ts';
import type { Graph } from '../spec/graph.ts';
import { follow } from '../topics/follow.ts';

/** A text that nothing trains on. */
export interface HeldOutText {
  /** The same for the same text, and for no other. */
  readonly key: string;
  readonly text: string;
}

/** Gives the texts of an exam, as they are now. */
export type HeldOut = (signal: AbortSignal) => Promise<readonly HeldOutText[]>;

/** Records of a partition that are looked through for the first exam; later ones go on from there. */
const FIRST_RECORDS = 2000;

/** Where held-out text is looked for, and where the graph names it, such as `promote.heldOut`. */
export interface HeldOutPlace {
  readonly where: string;
  readonly graph: Pick<Graph, 'streams'>;
  readonly log: TopicLog;
  readonly formats: Formats;
}

/** The text that a graph holds out. Throws `config-invalid` for a file that can't be read. */
export function heldOutOf(spec: HeldOutSpec | undefined, { where, graph, log, formats }: HeldOutPlace): HeldOut {
  if (!spec) return async () => [];
  const bytes = toBytes(spec.bytes);
  if ('file' in spec) {
    const texts = [textOfFile(spec.file, bytes, where)];
    return async () => texts;
  }
  const { topic } = spec;
  return newestOf(log, formats, { topic, bytes, share: heldOutShare(graph, topic) });
}

function textOfFile(path: string, bytes: number, where: string): HeldOutText {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (cause) {
    throw new MillraceError('config-invalid', `The text of ${where} can't be read from ${path}.`, { cause });
  }
  const text = cut(content, bytes);
  if (text.trim() !== '') return keyed(text);
  throw new MillraceError('config-invalid', `There is no text in ${path}, which ${where} names.`);
}

/** The newest texts of a topic that are held out, up to so many bytes. What can't be read is passed over. */
function newestOf(
  log: TopicLog,
  formats: Formats,
  { topic, bytes, share }: { readonly topic: string; readonly bytes: number; readonly share: number },
): HeldOut {
  const next = new Map<number, number>();
  let texts: readonly HeldOutText[] = [];
  return async (signal) => {
    const from = (await log.offsets(topic)).map(({ partition, start, end }): Position => {
      return { topic, partition, offset: Math.max(start, next.get(partition) ?? end - FIRST_RECORDS) };
    });
    for await (const records of follow(log, from, { signal, untilEnd: true })) {
      for (const { partition, offset } of records) next.set(partition, offset + 1);
      const added = await Promise.all(
        records.filter((record) => isHeldOut(record, share)).map((record) => textOf(record, formats)),
      );
      texts = newest([...texts, ...added.filter((each) => each !== null)], bytes);
    }
    return texts;
  };
}

async function textOf(record: LogRecord, formats: Formats): Promise<HeldOutText | null> {
  if (record.value === null) return null;
  const format = formats.of(record.topic);
  try {
    const text = textIn(await format.read(record.value), format, record.value);
    return text.trim() === '' ? null : keyed(text);
  } catch {
    // Where it is trained on, it goes to the dead letters.
    return null;
  }
}

/** The last texts that have room, and at least one, cut to it. */
function newest(texts: readonly HeldOutText[], bytes: number): readonly HeldOutText[] {
  const kept: HeldOutText[] = [];
  let room = bytes;
  for (const each of texts.toReversed()) {
    const size = Buffer.byteLength(each.text);
    if (size > room && kept.length > 0) break;
    kept.unshift(size > bytes ? keyed(cut(Buffer.from(each.text), bytes)) : each);
    room -= size;
  }
  return kept;
}

/** The first bytes as text; a character that is cut through is left out. */
function cut(content: Buffer, bytes: number): string {
  return content
    .subarray(0, bytes)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
}

function keyed(text: string): HeldOutText {
  return { key: createHash('sha256').update(text).digest('base64url'), text };
}
