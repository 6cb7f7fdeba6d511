import { Command, InvalidArgumentError } from 'commander';
import { MillraceError } from '../../operators/errors.ts';
import { DEAD_LETTER_TOPIC } from '../spec/lint-topics.ts';
import { findLetter, findLetters, letterId, placeOf } from '../dead-letters/letters.ts';
import type { LetterFilter } from '../dead-letters/letters.ts';
import { readReplays, replayLetters } from '../dead-letters/replay.ts';
import type { Outcome } from '../dead-letters/replay.ts';
import type { LogPlace } from '../job/open-log.ts';
import { counted } from '../terminal/format.ts';
import { letterJson, letterPage, letterTable } from '../terminal/letter-view.ts';
import type { SeenLetter } from '../terminal/letter-view.ts';
import { brokersOption, dataDirOption, integer, milliseconds } from './options.ts';
import { inSession, withTopic } from './session.ts';
import type { Session } from './session.ts';

interface Flags extends LogPlace {
  readonly json?: true;
}

interface FilterFlags {
  readonly code?: string;
  readonly topic?: string;
  /** Milliseconds since the epoch. */
  readonly since?: number;
}

interface ListFlags extends Flags, FilterFlags {
  readonly limit: number;
}

interface ReplayFlags extends Flags, FilterFlags {
  readonly all?: true;
  readonly again?: true;
  readonly dryRun?: true;
}

const EXAMPLES = `
A letter is named by partition and offset in topic ${DEAD_LETTER_TOPIC}, such as 0:12; 12 will do for that.

Examples:
  millrace deadletters list --code record-not-utf8 --since 1d
  millrace deadletters show 0:12
  millrace deadletters replay 0:12 0:15
  millrace deadletters replay --code schema-unknown --dry-run
`;

/** `millrace deadletters`: what a job could not take in, and why; and back to its topic once that is mended. */
export function deadLettersCommand(): Command {
  const list = filtered(new Command('list').description('List dead letters, oldest first.'))
    .option('--limit <n>', 'only the newest so many (default: 100)', integer(1), 100)
    .option('--json', 'print each as JSON, one a line')
    .action((flags: ListFlags) => inSession((session) => listAll(session, flags)));
  const show = placed(new Command('show').description('Show a dead letter with its value, as text or in hex.'))
    .argument('<letter>', 'as listed', parseId)
    .option('--json', 'print it as JSON, with the whole value')
    .action((id: string, flags: Flags) => inSession((session) => showOne(session, id, flags)));
  const replay = filtered(
    new Command('replay').description('Produce the records of dead letters to their topics again, as they were.'),
  )
    .argument('[letters...]', 'as listed; or choose them by --code, --topic or --since', addId)
    .option('--all', 'all letters')
    .option('--again', 'also those that were replayed before')
    .option('--dry-run', 'only say what would be done')
    .option('--json', 'print what became of each as JSON, one a line')
    .action((ids: readonly string[], flags: ReplayFlags) => inSession((session) => replayAll(session, ids, flags)));
  return new Command('deadletters')
    .description('List, show and replay the records that a job could not take in.')
    .addHelpText('after', EXAMPLES)
    .addCommand(list.exitOverride(), { isDefault: true })
    .addCommand(show.exitOverride())
    .addCommand(replay.exitOverride());
}

async function listAll(session: Session, flags: ListFlags): Promise<void> {
  await withTopic(flags, DEAD_LETTER_TOPIC, async (log) => {
    const replays = await readReplays(log, session.signal);
    const newest: SeenLetter[] = [];
    let found = 0;
    for await (const letter of findLetters(log, filterOf(flags), session.signal)) {
      found += 1;
      newest.push({ letter, replayedAtMs: replays.get(placeOf(letter)) ?? null });
      if (newest.length > flags.limit) newest.shift();
    }
    if (flags.json) return session.print(newest.map((each) => letterJson(each, false)).join(''));
    if (found === 0) return session.print('There are no dead letters that fit.\n');
    await session.print(letterTable(newest, Date.now()));
    if (found > newest.length)
      console.error(`millrace: ${counted(found - newest.length, 'older letter')} not shown; see --limit`);
  });
}

async function showOne(session: Session, id: string, flags: Flags): Promise<void> {
  await withTopic(flags, DEAD_LETTER_TOPIC, async (log) => {
    const replays = await readReplays(log, session.signal);
    const letter = await findLetter(log, id, session.signal);
    const seen = { letter, replayedAtMs: replays.get(placeOf(letter)) ?? null };
    await session.print(flags.json ? letterJson(seen, true) : letterPage(seen));
  });
}

async function replayAll(session: Session, ids: readonly string[], flags: ReplayFlags): Promise<void> {
  const { again = false, dryRun = false, json } = flags;
  const filter = filterOf(flags);
  if (ids.length === 0 && Object.keys(filter).length === 0 && !flags.all) {
    throw new MillraceError(
      'bad-usage',
      'Say which letters: by name as listed, by --code, --topic or --since, or --all for all of them.',
    );
  }
  const counts: Record<Outcome, number> = { replayed: 0, 'replayed-before': 0, gone: 0, sent: 0 };
  const wanted = ids.length > 0 ? { ...filter, ids } : filter;
  const summary = (): string => summarize(counts, dryRun);
  await withTopic(flags, DEAD_LETTER_TOPIC, async (log) => {
    try {
      await replayLetters(log, {
        filter: wanted,
        again,
        dryRun,
        signal: session.signal,
        onLetter: async (letter, outcome) => {
          counts[outcome] += 1;
          const { id, code, at } = letter;
          if (json) await session.print(`${JSON.stringify({ id, code, ...at, outcome, dryRun })}\n`);
          else if (dryRun && outcome === 'replayed') await session.print(`${id}  ${code}  ${placeOf(letter)}\n`);
        },
      });
    } catch (error) {
      if (counts.replayed > 0) console.error(`millrace: before this: ${summary()}`);
      throw error;
    }
  });
  if (!json) await session.print(`${summary()}\n`);
  if (counts['replayed-before'] > 0) {
    console.error(
      `millrace: ${counted(counts['replayed-before'], 'letter')} left out, replayed before; --again replays them again`,
    );
  }
  if (counts.sent > 0) {
    console.error(
      `millrace: ${counted(counts.sent, 'letter')} left out: they were meant for a webhook, and their topics have the records still`,
    );
  }
  if (counts.gone > 0) {
    console.error(
      `millrace: ${counted(counts.gone, 'letter')} left out: there is no value any more, in the letter or in its topic`,
    );
  }
}

function summarize({ replayed }: Readonly<Record<Outcome, number>>, dryRun: boolean): string {
  return dryRun ? `Would replay ${counted(replayed, 'letter')}.` : `Replayed ${counted(replayed, 'letter')}.`;
}

function placed(command: Command): Command {
  return command.addOption(dataDirOption()).addOption(brokersOption());
}

function filtered(command: Command): Command {
  return placed(command)
    .option('--code <code>', 'only those with this code')
    .option('--topic <topic>', 'only those of records of this topic')
    .option('--since <time>', 'only those buried since then: 2h, or 2026-05-01T12:00Z', since);
}

function filterOf({ code, topic, since: sinceMs }: FilterFlags): LetterFilter {
  return {
    ...(code === undefined ? {} : { code }),
    ...(topic === undefined ? {} : { topic }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
  };
}

function parseId(text: string): string {
  const id = letterId(text);
  if (id === null) throw new InvalidArgumentError('It must be a letter as listed, such as 0:12.');
  return id;
}

function addId(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, parseId(text)];
}

/** A moment, or how long ago it was. */
function since(text: string): number {
  if (/^\d{4}-/.test(text)) {
    const atMs = Date.parse(text);
    if (!Number.isNaN(atMs)) return atMs;
    throw new InvalidArgumentError('It must be a date such as 2026-05-01 or 2026-05-01T12:00Z.');
  }
  return Date.now() - milliseconds(text);
}
