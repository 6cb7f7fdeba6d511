import { setTimeout as sleep } from 'node:timers/promises';
import type { Topic } from '../../operators/index.ts';

export interface SampleOptions {
  /** Bytes that make a whole sample. */
  readonly wantedBytes: number;
  /** Bytes that will do once nothing more has come for `quietMs`. */
  readonly enoughBytes: number;
  readonly quietMs: number;
  /** Told when there is too little, so that somebody can say so. */
  readonly onWaiting: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * The first text of topics, partition by partition, for a tokenizer to be trained on. Waits until there is enough of it;
 * resolves with null when told to stop.
 */
export async function sampleText(topics: readonly Topic[], options: SampleOptions): Promise<string | null> {
  let quietSince = Date.now();
  let lastBytes = -1;
  while (!options.signal.aborted) {
    const { text, bytes } = await readSample(topics, options.wantedBytes);
    if (bytes >= options.wantedBytes) return text;
    if (bytes !== lastBytes) quietSince = Date.now();
    const quiet = Date.now() - quietSince >= options.quietMs;
    if (quiet && bytes >= options.enoughBytes) return text;
    if (bytes !== lastBytes) options.onWaiting(bytes);
    lastBytes = bytes;
    await sleep(200, undefined, { signal: options.signal }).catch(() => undefined);
  }
  return null;
}

async function readSample(topics: readonly Topic[], wantedBytes: number): Promise<{ text: string; bytes: number }> {
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let bytes = 0;
  for (const { name, log } of topics) {
    for (const { partition, start, end } of await log.offsets(name)) {
      const reader = log.reader([{ topic: name, partition, offset: start }]);
      for (let offset = start; offset < end && bytes < wantedBytes;) {
        const records = await reader.poll({ waitMs: 0, maxBytes: 1024 * 1024 });
        if (records.length === 0) break;
        for (const { value } of records) {
          const part = value?.subarray(0, wantedBytes - bytes);
          bytes += part?.byteLength ?? 0;
          parts.push(decoder.decode(part ?? undefined));
        }
        offset += records.length;
      }
      await reader.close();
    }
  }
  return { text: parts.join('\n'), bytes };
}
