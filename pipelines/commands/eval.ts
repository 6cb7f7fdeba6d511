import { existsSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { MillraceError } from '../../operators/errors.ts';
import type { Formats } from '../../operators/formats.ts';
import type { Logger, TopicLog } from '../../operators/ports.ts';
import { choiceFormats } from '../evaluation/choice-formats.ts';
import type { ChoiceFormatName } from '../evaluation/choice-formats.ts';
import type { Evaluation, NamedText, Questions } from '../evaluation/evaluation.ts';
import { EVALUATIONS_TOPIC, evaluationRecord } from '../evaluation/evaluation-topic.ts';
import { heldOutOf } from '../evaluation/held-out.ts';
import { readChoices, readCloze } from '../evaluation/read-choices.ts';
import { runEval } from '../evaluation/run-eval.ts';
import { savedModel } from '../evaluation/saved-weights.ts';
import type { SavedModel, WhichWeights } from '../evaluation/saved-weights.ts';
import { dataFolder } from '../job/job-folder.ts';
import { placeOf } from '../job/open-log.ts';
import type { LogPlace } from '../job/open-log.ts';
import { evaluationView } from '../terminal/evaluation-view.ts';
import { LiveLine } from '../terminal/live-line.ts';
import { isTerminal } from '../terminal/style.ts';
import { formatsOf } from '../topics/formats.ts';
import { brokersOption, dataDirOption, integer } from './options.ts';
import { inSession, withLog } from './session.ts';
import type { Session } from './session.ts';

interface Flags extends LogPlace {
  readonly text: readonly string[];
  readonly cloze: readonly string[];
  readonly choices: readonly string[];
  readonly format: ChoiceFormatName | 'auto';
  readonly weights: WhichWeights;
  readonly merge: number;
  readonly stride?: number;
  readonly topic: string;
  readonly record: boolean;
  readonly json?: true;
}

const HELP = `
Where nothing is named to examine by: the cloze items that come with Millrace, and the text that the graph holds out (promote:).

Text is scored in windows of the context less one token, which slide by --stride: each token is predicted once, behind at least
window − stride others but at the beginning, where an end of text stands before the first. A smaller stride is fairer and slower.
Choices are one JSON object a line, in one of these forms:
${Object.entries(choiceFormats)
  .map(([name, { example }]) => `  ${name}: ${example}`)
  .join('\n')}
A model chooses by log-probability (right), by that for each character or byte of the choice, or by how much more likely the
context makes it: acc, acc_norm, – and acc_mutual_info of lm-evaluation-harness, but that a tie is not right.

Examples:
  millrace eval --text held-out.txt
  millrace eval 12 --choices arc.jsonl hellaswag.jsonl --json
  millrace eval --weights ema --text held-out.txt
  millrace eval --merge 5 --text held-out.txt
  millrace eval backups/000000013-savepoint --no-record
`;

const logger: Logger = { info: () => {}, warn: (message) => console.error(`millrace: ${message}`) };

/** `millrace eval`: examines the weights of a checkpoint. */
export function evalCommand(): Command {
  return new Command('eval')
    .description('Examine a checkpoint: bits per byte of text, and how often it chooses the right answer.')
    .argument('[checkpoint]', 'its id or number in the current job, or its folder; the newest')
    .option('--text <files...>', 'text to be predicted, a document each', [])
    .option('--cloze <files...>', 'cloze items; shipped for those that come with Millrace', [])
    .option('--choices <files...>', 'items with several choices, of whichever form', [])
    .addOption(
      new Option('--format <name>', 'form of the items of --choices; auto looks at the first line')
        .choices(['auto', ...Object.keys(choiceFormats)])
        .default('auto'),
    )
    .addOption(
      new Option('--weights <which>', 'of the last step, their running mean, or those that speak')
        .choices(['last', 'ema', 'spoken'])
        .default('spoken'),
    )
    .option('--merge <n>', 'examine the mean of so many checkpoints, up to this one', integer(1, 100), 1)
    .option('--stride <tokens>', 'by which windows over text slide (default: half of a window)', integer(1))
    .option('--topic <name>', 'topic that gets the results as a record', EVALUATIONS_TOPIC)
    .option('--no-record', 'write no record')
    .addOption(dataDirOption())
    .addOption(brokersOption())
    .option('--json', 'print the results as JSON')
    .addHelpText('after', HELP)
    .action((checkpoint: string | undefined, flags: Flags) =>
      inSession((session) => evaluate(session, checkpoint, flags)),
    );
}

async function evaluate(session: Session, named: string | undefined, flags: Flags): Promise<void> {
  const { dataDir, merge, weights: which, stride, topic, json } = flags;
  const model = await savedModel(dataDir, named, logger);
  const { graph } = model;
  const place = placeOf(graph, flags);
  const formats = formatsOf(graph ?? { topics: {} });
  // A folder that has no log is not given one.
  const hasLog = place.brokers !== undefined || existsSync(dataFolder(dataDir).log);
  const isDefault = [flags.text, flags.cloze, flags.choices].every(({ length }) => length === 0);
  const questions = isDefault ? await defaultQuestions(model, hasLog ? place : null, formats, session) : asked(flags);
  const line = isTerminal(process.stderr) ? new LiveLine(process.stderr, { nowMs: () => Date.now() }) : null;
  const onProgress = (name: string, share: number): void => line?.show(() => `${name}  ${Math.floor(share * 100)} %`);
  let evaluation: Evaluation;
  try {
    const { signal } = session;
    evaluation = await runEval({ model, which, merge, questions, stride, logger, onProgress, signal });
  } finally {
    line?.clear();
  }
  if (flags.record && hasLog) await withLog(place, (log) => record(log, evaluation, formats, topic));
  else if (flags.record) logger.warn(`${dataDir} has no log, so there is no record of this.`);
  await session.print(json ? `${JSON.stringify(evaluation)}\n` : evaluationView(evaluation));
}

async function record(log: TopicLog, evaluation: Evaluation, formats: Formats, topic: string): Promise<void> {
  const names = (await log.topics()).map(({ name }) => name);
  if (!names.includes(topic)) await log.createTopic(topic, { partitions: 1 });
  await log.produce(topic, [await evaluationRecord(evaluation, formats, topic)]);
}

function asked({ text, cloze, choices, format }: Flags): Questions {
  const sets = [...cloze.map((name) => readCloze(name)), ...choices.map((path) => readChoices(path, format))];
  return { texts: text.map(fileText), choices: sets };
}

function fileText(path: string): NamedText {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MillraceError('bad-usage', `The text ${path} can't be read.`, { cause });
  }
  if (text !== '') return { name: path, texts: [text] };
  throw new MillraceError('bad-usage', `There is no text in ${path}.`);
}

/** Held-out text of a topic needs the log. */
async function defaultQuestions(
  { graph }: SavedModel,
  place: LogPlace | null,
  formats: Formats,
  { signal }: Session,
): Promise<Questions> {
  const choices = [readCloze('shipped')];
  const spec = graph?.promote?.heldOut;
  if (!graph || !spec || !place) return { texts: [], choices };
  const where = 'promote.heldOut';
  const texts = await withLog(place, (log) => heldOutOf(spec, { where, graph, log, formats })(signal));
  const name = 'file' in spec ? spec.file : `topic ${spec.topic}`;
  return { texts: texts.length > 0 ? [{ name, texts: texts.map(({ text }) => text) }] : [], choices };
}
