import { Command, Option } from 'commander';
import { follow, positionsFrom } from '../topics/follow.ts';
import type { From } from '../topics/follow.ts';
import { readable } from '../topics/encode.ts';
import { jsonView, rawView, readableView } from '../terminal/record-view.ts';
import type { RecordView } from '../terminal/record-view.ts';
import { isTerminal, styleFor } from '../terminal/style.ts';
import { graphOption, topicsOf } from './graph-option.ts';
import type { TopicFlags } from './graph-option.ts';
import { brokersOption, dataDirOption, from, integer } from './options.ts';
import { inSession, withTopic } from './session.ts';
import type { Session } from './session.ts';
import { tailTensorBoard } from './tail-tensorboard.ts';
import { tailTop } from './tail-top.ts';

/** Documents that `--top` shows unless it says how many. */
const TOP = 10;

interface TailFlags extends TopicFlags {
  readonly from?: From;
  readonly partition?: number;
  readonly untilEnd?: true;
  readonly max?: number;
  readonly top?: number | true;
  readonly tensorboard?: string;
  readonly json?: true;
  readonly raw?: true;
}

const EXAMPLES = `
With --json, each line has topic, partition, offset, timestamp, key, value and headers. A value that is an object or a
list in JSON is given as such, other text as text, and bytes that are no text as {"base64": "..."}. Avro is shown as
JSON where --graph names the topic's format. With --tensorboard, the numbers of JSON objects become series that are named
by topic and path, over their step; told again, it goes on behind what the folder has.

Examples:
  millrace tail generations                         the model's answers, each once, when it is whole
  millrace tail generations-live                    what the model says, as it says it
  millrace tail metrics --from earliest --json | jq .value.bitsPerByte
  millrace tail text --from 1200 --partition 0 --max 1
  millrace tail surprise --top 20 --until-end       the most surprising documents, with their text
  millrace tail metrics --tensorboard runs/mine     and elsewhere: tensorboard --logdir runs
  millrace tail text --from earliest --until-end --raw > text.txt
`;

/** `millrace tail`: follows a topic from another process. Ctrl-C is its ordinary end. */
export function tailCommand(): Command {
  return new Command('tail')
    .description('Follow a topic.')
    .argument('<topic>', 'topic to follow')
    .option(
      '--from <place>',
      'earliest, latest or an offset (default: latest; earliest with --until-end, --top or --tensorboard)',
      from,
    )
    .option('--partition <n>', 'only this partition', integer(0))
    .option('--until-end', 'stop where the topic ends now')
    .option('--max <n>', 'stop after so many records', integer(1))
    .addOption(
      new Option('--top [n]', 'of a topic of surprise: the most surprising documents so far, then those that join them')
        .argParser(integer(1, 1000))
        .conflicts(['raw', 'max']),
    )
    .addOption(
      new Option('--tensorboard <folder>', "add the topic's numbers to TensorBoard's files in a folder").conflicts([
        'json',
        'raw',
        'max',
        'top',
      ]),
    )
    .addOption(graphOption())
    .addOption(dataDirOption())
    .addOption(brokersOption())
    .addOption(new Option('--json', 'print each record as JSON, one a line').conflicts('raw'))
    .option('--raw', 'print only the values, byte for byte, with a line end behind each')
    .addHelpText('after', EXAMPLES)
    .action((topic: string, flags: TailFlags) => inSession((session) => tail(session, topic, flags), 0));
}

async function tail(session: Session, topic: string, flags: TailFlags): Promise<void> {
  const { untilEnd = false, max = Infinity, partition = null } = flags;
  const view = viewFor(flags);
  const { place, formats } = topicsOf(flags);
  await withTopic(place, topic, async (log) => {
    const isWhole = untilEnd || flags.top !== undefined || flags.tensorboard !== undefined;
    const positions = await positionsFrom(log, topic, flags.from ?? (isWhole ? 'earliest' : 'latest'), partition);
    if (isTerminal(process.stderr) && !untilEnd) process.stderr.write(`Following topic ${topic}; Ctrl-C ends.\n`);
    const { tensorboard: folder } = flags;
    if (folder !== undefined) {
      const isAnew = flags.from !== undefined;
      await tailTensorBoard(session, { log, topic, formats, positions, isAnew, folder, untilEnd });
      return;
    }
    if (flags.top !== undefined) {
      const most = flags.top === true ? TOP : flags.top;
      await tailTop(session, { log, topic, formats, positions, most, json: flags.json ?? false, untilEnd });
      return;
    }
    let left = max;
    for await (const records of follow(log, positions, { signal: session.signal, untilEnd })) {
      const wanted = records
        .slice(0, left)
        .map(async (record) => (flags.raw ? record : readable(record, formats.of(topic))));
      const shown = view.show(await Promise.all(wanted));
      if (shown.length > 0) await session.print(shown);
      left -= records.length;
      if (left <= 0) break;
    }
    const rest = view.close();
    if (rest) await session.print(rest);
  });
}

function viewFor({ json, raw }: TailFlags): RecordView {
  if (raw) return rawView;
  return json ? jsonView : readableView(styleFor(process.stdout), { nowMs: () => performance.now() });
}
