import { setTimeout as sleep } from 'node:timers/promises';
import { textIn } from '../../operators/formats.ts';
import { isPoison } from '../../operators/poison.ts';
import type { Formats, LogRecord, Topic, TopicFormat } from '../../operators/index.ts';

export interface SampleOptions {
  readonly formats: Formats;
  /** Bytes that make a whole sample. */
  readonly wantedBytes: number;
  /** Bytes that will do once nothing more has come for `quietMs`. */
  readonly enoughBytes: number;
  readonly quietMs: number;
  /** Of a stream that never falls quiet, so long after there were enough. */
  readonly patienceMs: number;
  /** Told at once and then now and again while there is too little, so that somebody can say so. */
  readonly onWaiting: (bytes: number) => void;
  readonly signal: AbortSignal;
}

const LOOK_EVERY_MS = 200;
const TELL_EVERY_MS = 10_000;

/**
 * The first text of topics, partition by partition, for a tokenizer to be trained on. Waits until there is enough of it;
 * resolves with null when told to stop.
 */
export async function sampleText(topics: readonly Topic[], options: SampleOptions): Promise<string | null> {
  const { wantedBytes, enoughBytes, quietMs, patienceMs } = options;
  let grewAtMs = performance.now();
  let enoughAtMs = Infinity;
  let toldAtMs = -Infinity;
  let lastBytes = -1;
  while (!options.signal.aborted) {
    const { text, bytes } = await readSample(topics, options.formats, wantedBytes);
    const nowMs = performance.now();
    if (bytes !== lastBytes) grewAtMs = nowMs;
    if (bytes >= enoughBytes) enoughAtMs = Math.min(enoughAtMs, nowMs);
    const isEnough = bytes >= enoughBytes && (nowMs - grewAtMs >= quietMs || nowMs - enoughAtMs >= patienceMs);
    if (isEnough || bytes >= wantedBytes) return text;
    if (bytes !== lastBytes && nowMs - toldAtMs >= TELL_EVERY_MS) {
      options.onWaiting(bytes);
      toldAtMs = nowMs;
    }
    lastBytes = bytes;
    await sleep(LOOK_EVERY_MS, undefined, { signal: options.signal }).catch(() => undefined);
  }
  return null;
}

async function readSample(
  topics: readonly Topic[],
  formats: Formats,
  wantedBytes: number,
): Promise<{ text: string; bytes: number }> {
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let bytes = 0;
  for (const { name, log } of topics) {
    for (const { partition, start, end } of await log.offsets(name)) {
      const reader = log.reader([{ topic: name, partition, offset: start }]);
      for (let offset = start; offset < end && bytes < wantedBytes;) {
        const records = await reader.poll({ waitMs: 0, maxBytes: 1024 * 1024 });
        if (records.length === 0) break;
        for (const record of records) {
          if (bytes >= wantedBytes) break;
          const part = (await bytesOf(record, formats.of(name))).subarray(0, wantedBytes - bytes);
          bytes += part.byteLength;
          parts.push(decoder.decode(part));
        }
        offset += records.length;
      }
      await reader.close();
    }
  }
  return { text: parts.join('\n'), bytes };
}

/** A record's text in UTF-8. What has none becomes a dead letter later, and gives nothing here. */
async function bytesOf({ value }: LogRecord, format: TopicFormat): Promise<Uint8Array> {
  if (value === null || format.name === 'plain' || format.name === 'text') return value ?? new Uint8Array();
  try {
    return Buffer.from(textIn(await format.read(value), format, value));
  } catch (error) {
    if (isPoison(error)) return new Uint8Array();
    throw error;
  }
}
