import type { Kafka } from 'kafkajs';
import { Readable } from 'node:stream';
import type { NewRecord, TopicLog } from '../../../operators/index.ts';
import { plainFormat } from '../../../operators/formats.ts';
import type { Input } from '../../../pipelines/topics/inputs.ts';
import { produceInputs } from '../../../pipelines/topics/produce.ts';
import { calls } from './documents.ts';
import type { Contender } from './duel.ts';
import { Stopwatch } from './pace.ts';
import type { Pace } from './pace.ts';

/** Records of a call, for all who are given whole calls. */
const CALL = 500;

export interface Load {
  readonly documents: readonly Buffer[];
  readonly count: number;
  /** A topic that takes all turns. */
  readonly topic: string;
}

/** Through the log, call by call. */
export function logProducer(name: string, log: TopicLog, load: Load): Contender {
  return { name, unit: 'records', turn: () => timed(load, (records) => log.produce(load.topic, records)) };
}

/** The same calls to kafkajs's documented producer. */
export function bareProducer(name: string, kafka: Kafka, load: Load): Contender {
  return {
    name,
    unit: 'records',
    async turn() {
      const producer = kafka.producer();
      await producer.connect();
      const pace = await timed(load, (records) =>
        producer.send({
          topic: load.topic,
          messages: records.map(({ value }) => ({ value: value === null ? null : Buffer.from(value) })),
        }),
      );
      await producer.disconnect();
      return pace;
    },
  };
}

/** What `millrace produce` does with lines that come on its standard input. */
export function commandProducer(name: string, log: TopicLog, load: Load): Contender {
  const lines = load.documents.map((document) => Buffer.from(`${document.toString().replaceAll('\n', ' ')}\n`));
  return {
    name,
    unit: 'records',
    async turn() {
      const watch = new Stopwatch(load.count);
      watch.start();
      const { records, bytes } = await produceInputs({
        log,
        topic: load.topic,
        inputs: [linesInput(lines, load.count)],
        split: 'line',
        format: plainFormat,
        signal: new AbortController().signal,
        onProgress: () => undefined,
      });
      watch.count(records, bytes);
      return watch.pace;
    },
  };
}

/** Like a file: in chunks that begin and end anywhere. */
function linesInput(lines: readonly Buffer[], count: number): Input {
  const LINES_A_CHUNK = 64;
  function* chunks(): Generator<Buffer> {
    for (let from = 0; from < count; from += LINES_A_CHUNK) {
      const length = Math.min(LINES_A_CHUNK, count - from);
      yield Buffer.concat(Array.from({ length }, (_, at) => lines[(from + at) % lines.length] ?? Buffer.alloc(0)));
    }
  }
  return { name: 'lines', bytes: count, read: () => Readable.from(chunks()) };
}

async function timed(
  { documents, count }: Load,
  send: (records: readonly NewRecord[]) => Promise<unknown>,
): Promise<Pace> {
  const watch = new Stopwatch(count);
  watch.start();
  for (const records of calls(documents, count, CALL)) {
    await send(records);
    watch.count(
      records.length,
      records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0),
    );
  }
  return watch.pace;
}
