import { Command, InvalidArgumentError, Option } from 'commander';
import type { Clock } from '../../operators/ports.ts';
import { count, counted, duration, size } from '../terminal/format.ts';
import { findInputs } from '../topics/inputs.ts';
import type { Inputs } from '../topics/inputs.ts';
import { LiveLine } from '../terminal/live-line.ts';
import { MAX_RECORD_BYTES, produceInputs } from '../topics/produce.ts';
import type { Produced } from '../topics/produce.ts';
import type { SplitBy } from '../topics/split.ts';
import { isTerminal } from '../terminal/style.ts';
import { graphOption, topicsOf } from './graph-option.ts';
import type { TopicFlags } from './graph-option.ts';
import { brokersOption, dataDirOption, integer } from './options.ts';
import { inSession, withLog } from './session.ts';
import type { Session } from './session.ts';

interface ProduceFlags extends TopicFlags {
  readonly split?: SplitBy;
  readonly ext?: readonly string[];
  readonly partitions?: number;
  readonly key?: string;
  readonly json?: true;
}

const EXAMPLES = `
A path is a file, a folder (its text files, by name, folders in it too), or - for standard input.

Examples:
  millrace produce text notes/                          each file a record
  millrace produce text book.txt --split paragraph      each paragraph a record
  tail -f app.log | millrace produce text -             each line a record, as it comes
  millrace produce text corpus/ --ext txt,md --partitions 3
  millrace produce events lines.jsonl --split line --graph graph.yaml

With --graph, text goes into the field that the topic's format has for it; a JSON object goes as it is.
`;

/** `millrace produce`: writes text to a topic, which a running job picks up at once. */
export function produceCommand(): Command {
  return new Command('produce')
    .description('Write files, folders or standard input to a topic.')
    .argument('<topic>', 'topic to write to; made when it is not there')
    .argument('<paths...>', 'files, folders, or - for standard input')
    .addOption(
      new Option('--split <unit>', 'what becomes a record (default: file; for standard input line)').choices([
        'line',
        'paragraph',
        'file',
      ]),
    )
    .option('--ext <list>', 'only files of folders with these extensions, such as txt,md', extensions)
    .option('--partitions <n>', 'partitions of a topic that is made (default: 1)', integer(1, 10_000))
    .option('--key <text>', 'key of every record; equal keys go to one partition and keep their order')
    .addOption(graphOption())
    .addOption(dataDirOption())
    .addOption(brokersOption())
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', EXAMPLES)
    .action((topic: string, paths: string[], flags: ProduceFlags) =>
      inSession((session) => produce(session, topic, paths, flags)),
    );
}

const clock: Clock = { nowMs: () => performance.now() };

async function produce(session: Session, topic: string, paths: readonly string[], flags: ProduceFlags): Promise<void> {
  const { split, key, partitions } = flags;
  const { place, formats } = topicsOf(flags);
  const found = await findInputs(paths, flags.ext ?? null);
  const startedMs = clock.nowMs();
  let latest: Produced = { records: 0, bytes: 0, emptySkipped: 0, inputs: 0 };
  const line = new LiveLine(process.stderr, clock);
  if (process.stdin.isTTY && paths.includes('-')) process.stderr.write('Reading from the terminal; Ctrl-D ends.\n');
  try {
    await withLog(
      place,
      async (log) => {
        await log.createTopic(topic, partitions === undefined ? {} : { partitions });
        latest = await produceInputs({
          log,
          topic,
          format: formats.of(topic),
          inputs: found.inputs,
          signal: session.signal,
          ...(split === undefined ? {} : { split }),
          ...(key === undefined ? {} : { key }),
          onProgress: (produced) => {
            latest = produced;
            if (!isTerminal(process.stderr)) return;
            line.show((columns) => progressBar(latest, found, clock.nowMs() - startedMs, columns));
          },
        });
      },
      { maxRecordBytes: MAX_RECORD_BYTES },
    );
  } catch (error) {
    line.clear();
    if (latest.records > 0) console.error(`millrace: ${counted(latest.records, 'record')} were produced before this:`);
    throw error;
  }
  line.clear();
  const seconds = (clock.nowMs() - startedMs) / 1000;
  await session.print(
    flags.json
      ? `${JSON.stringify({ topic, ...latest, binariesSkipped: found.binaries.length, seconds, interrupted: session.wasInterrupted })}\n`
      : summary(topic, latest, found, seconds, session.wasInterrupted),
  );
}

/** Read as `Produced 2 records (1.2 KB) from 2 inputs to topic text in 0.1 s (12.0 KB/s).` */
function summary(topic: string, done: Produced, found: Inputs, seconds: number, wasInterrupted: boolean): string {
  const { records, bytes, emptySkipped, inputs } = done;
  const rate = `${size(bytes / Math.max(seconds, 0.001))}/s`;
  const lines = [
    `${wasInterrupted ? 'Interrupted. ' : ''}Produced ${counted(records, 'record')} (${size(bytes)}) from ` +
      `${counted(inputs, 'input')} to topic ${topic} in ${duration(seconds * 1000)} (${rate}).`,
  ];
  if (emptySkipped > 0) lines.push(`Skipped ${counted(emptySkipped, 'empty record')}.`);
  const [first] = found.binaries;
  if (first) lines.push(`Skipped ${counted(found.binaries.length, 'file')} without text, such as ${first}.`);
  return lines.map((line) => `${line}\n`).join('');
}

const BAR_COLUMNS = 24;

/** `[██████──────] 52 %  5.4 MB of 10.3 MB  121 records  9.8 MB/s`; without a bar where the whole is not known. */
function progressBar({ bytes, records }: Produced, found: Inputs, elapsedMs: number, columns: number): string {
  const rate = `${count(records)} records  ${size((bytes * 1000) / Math.max(elapsedMs, 1))}/s`;
  let total = 0;
  for (const input of found.inputs) {
    if (input.bytes === null) return `${size(bytes)}  ${rate}`;
    total += input.bytes;
  }
  // Separators are not part of records, so their bytes are a little fewer than those of the files.
  const share = Math.min(1, bytes / Math.max(total, 1));
  const figures = `${Math.floor(share * 100)} %  ${size(bytes)} of ${size(total)}  ${rate}`;
  if (figures.length + BAR_COLUMNS + 4 > columns) return figures;
  const filled = Math.round(share * BAR_COLUMNS);
  return `[${'█'.repeat(filled)}${'─'.repeat(BAR_COLUMNS - filled)}] ${figures}`;
}

function extensions(text: string): readonly string[] {
  const list = text.split(',').map((each) => each.trim().replace(/^\./, ''));
  if (list.every((each) => /^[\w.-]+$/.test(each))) return list;
  throw new InvalidArgumentError('It must be extensions with commas between, such as txt,md.');
}
