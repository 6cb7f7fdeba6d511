import { randomUUID } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import { Command, InvalidArgumentError, Option } from 'commander';
import { MillraceError } from '../../operators/errors.ts';
import type { TopicLog } from '../../operators/ports.ts';
import type { Formats } from '../../operators/formats.ts';
import { MOST_PROMPT_BYTES, MOST_STOPS, promptContent } from '../../operators/prompts.ts';
import type { PromptFields } from '../../operators/prompts.ts';
import type { LogRecord } from '../../operators/types.ts';
import { toBytes } from '../../operators/units.ts';
import { AnswerParts, GENERATIONS, GENERATIONS_LIVE } from '../topics/answer-parts.ts';
import { follow, positionsFrom } from '../topics/follow.ts';
import { answerFooter } from '../terminal/answer-footer.ts';
import { duration, printable, size } from '../terminal/format.ts';
import { currentJob, dataFolder } from '../job/job-folder.ts';
import { nameOf } from '../job/open-log.ts';
import type { LogPlace } from '../job/open-log.ts';
import { readable } from '../topics/encode.ts';
import { readPublished } from '../topics/published.ts';
import type { PublishedDelta } from '../topics/published.ts';
import { isTerminal, styleFor } from '../terminal/style.ts';
import { graphOption, topicsOf } from './graph-option.ts';
import type { TopicFlags } from './graph-option.ts';
import { brokersOption, dataDirOption, decimal, integer, milliseconds } from './options.ts';
import { inSession, withTopic } from './session.ts';
import type { Session } from './session.ts';

interface GenerateFlags extends Settings, TopicFlags {
  readonly timeout: number;
  /** In milliseconds. */
  readonly deadline?: number;
  readonly json?: true;
}

type Settings = Omit<PromptFields, 'prompt' | 'id' | 'deadline'>;

const PROMPTS = 'prompts';
const MAX_PROMPT_BYTES = toBytes(MOST_PROMPT_BYTES);

const EXAMPLES = `
Needs a job that runs on the same data folder (millrace up). Settings that are not given are the graph's.

Examples:
  millrace generate "The Congress of the"
  millrace generate "We the" --temperature 0 --max-tokens 32
  cat question.txt | millrace generate

Ctrl-C takes the prompt back, and its answer ends.
`;

/** `millrace generate`: asks the running job, and streams its answer. */
export function generateCommand(): Command {
  return new Command('generate')
    .description('Ask the model of the running job to go on with a text.')
    .argument('[prompt]', 'text to go on with; standard input when absent, or -')
    .option('--max-tokens <n>', 'tokens that the answer has at most', integer(1, 100_000))
    .option('--temperature <t>', '0 always takes the likeliest token', decimal(0, 10))
    .option('--top-k <k>', 'only the k likeliest tokens; 0 for all', integer(0))
    .option('--top-p <p>', 'only the likeliest tokens that together reach this probability', decimal(1e-6, 1))
    .option('--seed <n>', 'same seed, same weights, same prompt: same answer', integer(0))
    .addOption(
      new Option('--stop <text>', 'end the answer before this text; may be given several times').argParser(stopStrings),
    )
    .addOption(
      new Option('--deadline <duration>', 'end the answer then, as far as it has come').argParser(milliseconds),
    )
    .addOption(
      new Option('--timeout <duration>', 'give up when nothing has come for so long')
        .argParser(milliseconds)
        .default(60_000, '60s'),
    )
    .addOption(graphOption())
    .addOption(dataDirOption())
    .addOption(brokersOption())
    .option('--json', 'print each part of the answer as JSON, one a line')
    .addHelpText('after', EXAMPLES)
    .action((prompt: string | undefined, flags: GenerateFlags) =>
      inSession((session) => generate(session, prompt, flags)),
    );
}

async function generate(session: Session, argument: string | undefined, flags: GenerateFlags): Promise<void> {
  const { graph, dataDir, brokers, timeout, json, deadline, ...settings } = flags;
  const { place, formats } = topicsOf({ dataDir, brokers, ...(graph === undefined ? {} : { graph }) });
  if (argument === undefined && process.stdin.isTTY) {
    throw new MillraceError('bad-usage', 'Give the model a prompt: millrace generate "The people of the"');
  }
  const prompt = argument === undefined || argument === '-' ? await readPrompt(session.signal) : argument;
  if (prompt.trim() === '') throw new MillraceError('bad-usage', 'The prompt is empty. Give the model some text.');
  requireShort(Buffer.byteLength(prompt));
  if (!place.brokers && !currentJob(dataFolder(dataDir))) {
    throw new MillraceError(
      'no-answer',
      `No job has run on ${dataDir} yet. Start one with millrace up, and ask again.`,
    );
  }
  await withTopic(place, GENERATIONS, async (log) => {
    // Noted before the question is asked, so that no part of its answer is missed.
    const positions = await positionsFrom(log, GENERATIONS, 'latest', null);
    const hasLive = (await log.topics()).some(({ name }) => name === GENERATIONS_LIVE);
    if (hasLive) positions.push(...(await positionsFrom(log, GENERATIONS_LIVE, 'latest', null)));
    const id = await ask(log, formats, prompt, {
      ...settings,
      ...(deadline === undefined ? {} : { deadlineMs: deadline }),
    });
    const answer = deltasOf(id, follow(log, positions, session), formats, timeout, place);
    if (!json) await printAnswer(session, prompt, answer);
    else for await (const delta of answer) await session.print(`${JSON.stringify(delta)}\n`);
    // A tombstone takes the prompt back: nobody waits for the answer any more.
    if (session.signal.aborted) await log.produce(PROMPTS, [{ key: id, value: null }]);
  });
}

/** On a terminal the answer goes on behind the prompt; elsewhere it stands alone. */
async function printAnswer(session: Session, prompt: string, answer: AsyncIterable<PublishedDelta>): Promise<void> {
  const isLive = isTerminal(process.stdout);
  if (isLive) await session.print(styleFor(process.stdout).bold(printable(prompt)));
  let hasBegun = false;
  let last: PublishedDelta | null = null;
  try {
    for await (const delta of answer) {
      const { index, text } = delta;
      last = delta;
      if (index === 0 && hasBegun) console.error('\nmillrace: the job started again, and so does the answer:');
      hasBegun = true;
      await session.print(isLive ? printable(text) : text);
    }
  } finally {
    if (isLive || hasBegun) await session.print('\n');
  }
  if (isLive && last && last.finish !== null) console.error(styleFor(process.stderr).dim(answerFooter(last)));
}

/**
 * The parts of one answer out of all that is said, as they are made, until it is committed; begins again when what was made
 * has become another answer. Rejects with `no-answer` after a silence.
 */
async function* deltasOf(
  id: string,
  batches: AsyncIterable<readonly LogRecord[]>,
  formats: Formats,
  timeoutMs: number,
  place: LogPlace,
): AsyncGenerator<PublishedDelta> {
  const parts = new AnswerParts();
  let heardAtMs = performance.now();
  for await (const records of batches) {
    for (const record of records) {
      const { topic, value } = await readable(record, formats.of(record.topic));
      const delta = readPublished(value);
      if (delta?.event !== 'generation' || delta.id !== id) continue;
      yield* parts.push(topic, delta);
      heardAtMs = performance.now();
      if (delta.finish !== null && topic === GENERATIONS) return;
    }
    if (performance.now() - heardAtMs > timeoutMs) throw unanswered(place, timeoutMs);
  }
}

/** Collects what is given several times. */
function stopStrings(text: string, before: readonly string[] = []): readonly string[] {
  if (text === '') throw new InvalidArgumentError('It must be some text.');
  if (before.length === MOST_STOPS) throw new InvalidArgumentError(`There may be ${MOST_STOPS} of them.`);
  return [...before, text];
}

/** Produces the prompt, and returns its id. */
async function ask(log: TopicLog, formats: Formats, prompt: string, settings: Settings): Promise<string> {
  const id = `ask-${randomUUID().slice(0, 13)}`;
  const format = formats.of(PROMPTS);
  const value = await format.write(promptContent({ prompt, id, ...settings }, format));
  await log.produce(PROMPTS, [{ key: id, value }]);
  return id;
}

async function readPrompt(signal: AbortSignal): Promise<string> {
  const stdin: AsyncIterable<Uint8Array> = addAbortSignal(signal, process.stdin);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    chunks.push(chunk);
    bytes += chunk.length;
    requireShort(bytes);
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

function requireShort(bytes: number): void {
  if (bytes <= MAX_PROMPT_BYTES) return;
  throw new MillraceError(
    'bad-usage',
    `The prompt is longer than ${size(MAX_PROMPT_BYTES)}. Ask with its last part only.`,
  );
}

function unanswered(place: LogPlace, timeoutMs: number): MillraceError {
  return new MillraceError(
    'no-answer',
    `No answer: nothing has come for ${duration(timeoutMs)}. Is a job running on ${nameOf(place)}? Start it with millrace up: ` +
      `one that has run before answers this prompt then, to be read with millrace tail ${GENERATIONS}; ask a new one again. ` +
      'It speaks after its first checkpoint; wait longer with --timeout 5m.',
  );
}
