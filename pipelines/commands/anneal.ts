import { existsSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { DecayShape } from '../../model/schedule.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Logger } from '../../operators/ports.ts';
import { anneal } from '../anneal/anneal.ts';
import type { AnnealStep, Release } from '../anneal/anneal.ts';
import { pickWeights, savedModel } from '../evaluation/saved-weights.ts';
import type { WhichWeights } from '../evaluation/saved-weights.ts';
import { dataFolder } from '../job/job-folder.ts';
import { nameOf, placeOf } from '../job/open-log.ts';
import type { LogPlace } from '../job/open-log.ts';
import { logIdentity } from '../redeploy/fork-job.ts';
import { count, counted, duration, figure, rate, size } from '../terminal/format.ts';
import { LiveLine } from '../terminal/live-line.ts';
import { isTerminal } from '../terminal/style.ts';
import { formatsOf } from '../topics/formats.ts';
import { brokersOption, dataDirOption, decimal, integer } from './options.ts';
import { inSession, withLog } from './session.ts';
import type { Session } from './session.ts';

interface Flags extends LogPlace {
  readonly steps?: number;
  readonly tokens?: number;
  readonly fromShare?: number;
  readonly decay: DecayShape;
  readonly weights: WhichWeights;
  readonly merge: number;
  readonly out?: string;
  readonly json?: true;
}

const HELP = `
A learning rate that stays high learns for ever, and is at its best after it has fallen. So a release is made aside: a copy of a
checkpoint goes on training, on text that it has learnt, while its rate falls to zero; the job itself goes on, or stays stopped, as it
was. The same checkpoint and log give the same release to the bit. Ctrl-C leaves nothing behind.

Text: of all that the checkpoint has learnt the newest, a little more than is needed; --from-share 1 takes all, and where there is
too little it is read again. What the graph's operators drop is dropped here too.

Examples:
  millrace anneal --steps 500
  millrace anneal 12 --tokens 2000000 --decay linear
  millrace anneal --steps 200 --merge 5 --out releases
  millrace eval releases/000000001-savepoint --text held-out.txt
  millrace up --from releases/000000001-savepoint --data-dir another
`;

const logger: Logger = { info: () => {}, warn: (message) => console.error(`millrace: ${message}`) };

/** `millrace anneal`: makes a release of a checkpoint. */
export function annealCommand(): Command {
  return new Command('anneal')
    .description('Make a release of a checkpoint: train a copy of it while its learning rate falls to zero.')
    .argument('[checkpoint]', 'its id or number in the current job, or its folder; the newest')
    .addOption(new Option('--steps <n>', 'train so many steps').argParser(integer(1)).conflicts('tokens'))
    .option('--tokens <n>', 'train on so many tokens', integer(1))
    .option('--from-share <share>', 'of all that was learnt, take the newest so much', decimal(1e-6, 1))
    .addOption(new Option('--decay <shape>', 'how the rate falls').choices(['1-sqrt', 'linear']).default('1-sqrt'))
    .addOption(
      new Option('--weights <which>', 'begin with those of the last step, or their running mean')
        .choices(['last', 'ema'])
        .default('last'),
    )
    .option('--merge <n>', 'begin with the mean of so many checkpoints, up to this one', integer(1, 100), 1)
    .option('--out <folder>', 'where releases are stored (default: releases in the data folder)')
    .addOption(dataDirOption())
    .addOption(brokersOption())
    .option('--json', 'print steps and the release as JSON, one a line')
    .addHelpText('after', HELP)
    .action((checkpoint: string | undefined, flags: Flags) =>
      inSession((session) => release(session, checkpoint, flags)),
    );
}

async function release(session: Session, named: string | undefined, flags: Flags): Promise<void> {
  const { dataDir, fromShare = null, decay, merge, out = join(dataDir, 'releases'), json } = flags;
  const length = lengthOf(flags);
  const model = await savedModel(dataDir, named, logger);
  const place = placeOf(model.graph, flags);
  requireItsLog(place, model.log);
  // The job goes first where both want the processor; the trainer's process inherits it.
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const weights = await pickWeights(model, flags.weights, merge);
  const progress = new Progress(session, json ?? false);
  try {
    const made = await withLog(place, (log) =>
      anneal({
        model,
        weights,
        log,
        formats: formatsOf(model.graph ?? { topics: {} }),
        length,
        fromShare,
        decay,
        out,
        logger,
        onStep: (step) => progress.show(step),
        signal: session.signal,
      }),
    );
    progress.clear();
    await session.print(json ? `${JSON.stringify({ event: 'release', ...made })}\n` : releaseLines(made));
  } catch (error) {
    if (session.wasInterrupted) logger.warn('Stopped: there is no release, and the job is as it was.');
    throw error;
  } finally {
    progress.clear();
    await weights.dispose();
  }
}

function lengthOf({ steps, tokens }: Flags): { steps: number } | { tokens: number } {
  if (steps !== undefined) return { steps };
  if (tokens !== undefined) return { tokens };
  throw new MillraceError(
    'bad-usage',
    'Say how long to train: --steps or --tokens. A tenth to a fifth of what the job has trained is usual.',
  );
}

/** Offsets say what was learnt in their own log only. */
function requireItsLog(place: LogPlace, log: string | null): void {
  const { dataDir, brokers } = place;
  const hasLog = brokers !== undefined || existsSync(dataFolder(dataDir).log);
  if (hasLog && log === logIdentity(dataDir, brokers)) return;
  throw new MillraceError(
    'bad-usage',
    `The text that this checkpoint has learnt is not in ${nameOf(place)}: name the folder that has its log with --data-dir, or ` +
      'its brokers with --brokers.',
  );
}

/** One line that changes on a terminal; elsewhere a line now and then, or with JSON all of them. */
class Progress {
  readonly #session: Session;
  readonly #isJson: boolean;
  readonly #line: LiveLine | null;
  readonly #startedMs = performance.now();
  #toldTenths = 0;

  constructor(session: Session, isJson: boolean) {
    this.#session = session;
    this.#isJson = isJson;
    this.#line =
      !isJson && isTerminal(process.stderr) ? new LiveLine(process.stderr, { nowMs: () => Date.now() }) : null;
  }

  show(step: AnnealStep): void {
    if (this.#isJson) return void this.#session.print(`${JSON.stringify({ event: 'step', ...step })}\n`);
    if (this.#line) return this.#line.show(() => this.#lineOf(step));
    const tenths = Math.floor((10 * step.tokens) / step.ofTokens);
    if (tenths === this.#toldTenths) return;
    this.#toldTenths = tenths;
    void this.#session.print(`${this.#lineOf(step)}\n`);
  }

  clear(): void {
    this.#line?.clear();
  }

  #lineOf({ step, loss, lr, tokens, ofTokens }: AnnealStep): string {
    const done = Math.min(1, tokens / ofTokens);
    const leftMs = ((performance.now() - this.#startedMs) / done) * (1 - done);
    const left = done < 1 ? `  ${duration(leftMs)} left` : '';
    return `step ${count(step)}  ${Math.floor(100 * done)} %  loss ${figure(loss)}  lr ${rate(lr)}${left}`;
  }
}

function releaseLines({ path, from, step, steps, tokens, epochs, firstLoss, lastLoss, bytes }: Release): string {
  const again = epochs > 1 ? `, which were read ${epochs} times` : '';
  return [
    `Annealed ${from} over ${counted(steps, 'step')}, ${counted(tokens, 'token')}${again}: loss ${figure(firstLoss)} at first, ` +
      `${figure(lastLoss)} at last.`,
    `Saved as ${path} (step ${count(step)}, ${size(bytes)}).`,
    '',
  ].join('\n');
}
