import { randomUUID } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import { Command, Option } from 'commander';
import { MillraceError } from '../../operators/errors.ts';
import type { TopicLog } from '../../operators/ports.ts';
import { follow, positionsFrom } from '../follow.ts';
import { duration, printable } from '../format.ts';
import { currentJob, dataFolder } from '../job-folder.ts';
import { readPublished } from '../published.ts';
import type { PublishedDelta } from '../published.ts';
import { isTerminal, styleFor } from '../style.ts';
import { dataDirOption, decimal, integer, milliseconds } from './options.ts';
import { inSession, withTopic } from './session.ts';
import type { Session } from './session.ts';

interface GenerateFlags extends Settings {
  readonly dataDir: string;
  readonly timeout: number;
  readonly json?: true;
}

/** What a prompt record may say; where it does not, the job's graph decides. */
interface Settings {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
}

const PROMPTS = 'prompts';
const GENERATIONS = 'generations';
const MAX_PROMPT_BYTES = 1024 * 1024;

const EXAMPLES = `
Needs a job that runs on the same data folder (millrace up). Settings that are not given are the graph's.

Examples:
  millrace generate "The Congress of the"
  millrace generate "We the" --temperature 0 --max-tokens 32
  cat question.txt | millrace generate -
`;

/** `millrace generate`: asks the running job, and streams its answer. */
export function generateCommand(): Command {
  return new Command('generate')
    .description('Ask the model of the running job to go on with a text.')
    .argument('<prompt>', 'text to go on with, or - for standard input')
    .option('--max-tokens <n>', 'tokens that the answer has at most', integer(1, 100_000))
    .option('--temperature <t>', '0 always takes the likeliest token', decimal(0, 10))
    .option('--top-k <k>', 'only the k likeliest tokens; 0 for all', integer(0))
    .option('--top-p <p>', 'only the likeliest tokens that together reach this probability', decimal(1e-6, 1))
    .option('--seed <n>', 'same seed, same weights, same prompt: same answer', integer(0))
    .addOption(
      new Option('--timeout <duration>', 'give up when nothing has come for so long')
        .argParser(milliseconds)
        .default(60_000, '60s'),
    )
    .addOption(dataDirOption())
    .option('--json', 'print each part of the answer as JSON, one a line')
    .addHelpText('after', EXAMPLES)
    .action((prompt: string, flags: GenerateFlags) => inSession((session) => generate(session, prompt, flags)));
}

async function generate(session: Session, argument: string, flags: GenerateFlags): Promise<void> {
  const { dataDir, timeout, json, ...settings } = flags;
  const prompt = argument === '-' ? await readPrompt(session.signal) : argument;
  if (prompt.trim() === '') throw new MillraceError('bad-usage', 'The prompt is empty. Give the model some text.');
  if (!currentJob(dataFolder(dataDir))) {
    throw new MillraceError(
      'no-answer',
      `No job has run on ${dataDir} yet. Start one with millrace up, and ask again.`,
    );
  }
  await withTopic(dataDir, GENERATIONS, async (log) => {
    // Noted before the question is asked, so that no part of its answer is missed.
    const positions = await positionsFrom(log, GENERATIONS, 'latest', null);
    const id = await ask(log, prompt, settings);
    const style = styleFor(process.stdout);
    if (!json && isTerminal(process.stdout)) await session.print(style.bold(printable(prompt)));
    let heardAtMs = performance.now();
    let isFinished = false;
    let hasBegun = false;
    const say = async (delta: PublishedDelta): Promise<void> => {
      if (json) return session.print(`${JSON.stringify(delta)}\n`);
      if (delta.index === 0 && hasBegun) console.error('\nmillrace: the job started again, and so does the answer:');
      hasBegun = true;
      await session.print(isTerminal(process.stdout) ? printable(delta.text) : delta.text);
    };
    for await (const records of follow(log, positions, { signal: session.signal })) {
      for (const { value } of records) {
        const delta = readPublished(value);
        if (isFinished || delta?.event !== 'generation' || delta.id !== id) continue;
        await say(delta);
        heardAtMs = performance.now();
        isFinished = delta.finish !== null;
      }
      if (isFinished) break;
      if (performance.now() - heardAtMs > timeout) throw unanswered(dataDir, timeout, hasBegun);
    }
    if (!json && hasBegun) await session.print('\n');
  });
}

/** Produces the prompt, and returns its id. */
async function ask(log: TopicLog, prompt: string, settings: Settings): Promise<string> {
  const id = `ask-${randomUUID().slice(0, 13)}`;
  await log.produce(PROMPTS, [{ key: id, value: JSON.stringify({ prompt, id, ...settings }) }]);
  return id;
}

async function readPrompt(signal: AbortSignal): Promise<string> {
  const stdin: AsyncIterable<Uint8Array> = addAbortSignal(signal, process.stdin);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_PROMPT_BYTES) {
      throw new MillraceError('bad-usage', 'The prompt is longer than 1 MB. Give the model its last part only.');
    }
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

function unanswered(dataDir: string, timeoutMs: number, hasBegun: boolean): MillraceError {
  return new MillraceError(
    'no-answer',
    `${hasBegun ? 'The answer broke off' : 'No answer came'}: nothing for ${duration(timeoutMs)}. Is a job running on ` +
      `${dataDir}? Start it with millrace up: it answers this prompt then, to be read with millrace tail ${GENERATIONS}. ` +
      'A job that has just started speaks after its first checkpoint; wait longer with --timeout 5m.',
  );
}
