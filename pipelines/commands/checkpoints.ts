import { Command } from 'commander';
import type { Manifest } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import { age, count, figure, size, table } from '../terminal/format.ts';
import { bytesOf, checkpointIds, inspectCheckpoint, trainedIn } from '../job/saved-checkpoints.ts';
import type { SavedCheckpoint } from '../job/saved-checkpoints.ts';
import { jobOf } from './current-job.ts';
import { dataDirOption } from './options.ts';
import { inSession } from './session.ts';
import type { Session } from './session.ts';

interface ListFlags {
  readonly dataDir: string;
  readonly verify?: boolean;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  millrace checkpoints
  millrace checkpoints list --verify
  millrace checkpoints inspect 000000012
`;

/** `millrace checkpoints`: what the job of a data folder has saved. */
export function checkpointsCommand(): Command {
  return new Command('checkpoints')
    .description('List and inspect what a job has saved.')
    .addHelpText('after', EXAMPLES)
    .addCommand(listCommand('checkpoints').exitOverride(), { isDefault: true })
    .addCommand(inspectCommand().exitOverride());
}

/** Lists all that a job has saved, or only what was asked for. */
export function listCommand(what: 'checkpoints' | 'savepoints'): Command {
  return new Command('list')
    .description(`List the ${what} of the current job; exit code 1 when one is found to be corrupt.`)
    .option('--verify', 'read every byte and compare checksums')
    .addOption(dataDirOption())
    .option('--json', 'print each as JSON, one a line')
    .action((flags: ListFlags) => inSession((session) => listAll(session, flags, what)));
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what a checkpoint holds, after reading every byte of it.')
    .argument('<id>', 'as listed')
    .addOption(dataDirOption())
    .option('--json', 'print the whole manifest as JSON')
    .action((id: string, flags: Omit<ListFlags, 'verify'>) => inSession((session) => inspectOne(session, id, flags)));
}

async function listAll(
  session: Session,
  { dataDir, verify = false, json }: ListFlags,
  what: 'checkpoints' | 'savepoints',
): Promise<void> {
  const job = jobOf(dataDir);
  const saved: SavedCheckpoint[] = [];
  const ids = await checkpointIds(job);
  for (const id of what === 'savepoints' ? ids.filter((each) => each.endsWith('-savepoint')) : ids) {
    if (session.signal.aborted) return;
    const checkpoint = await inspectCheckpoint(job, id, verify);
    if (checkpoint) saved.push(checkpoint);
  }
  const corrupt = saved.filter(({ condition }) => condition === 'corrupt');
  if (json) await session.print(saved.map((each) => `${JSON.stringify(toJson(each))}\n`).join(''));
  else if (saved.length === 0) await session.print(`Job ${job.id} has no ${what} yet.\n`);
  else {
    const rows = saved.map((each) => toRow(each));
    await session.print(table([what.slice(0, -1), 'reason', 'step', 'saved', 'size', 'condition'], rows));
  }
  for (const { problem } of corrupt) console.error(`millrace: ${problem} [checkpoint-corrupt]`);
  if (corrupt.length > 0) process.exitCode = 1;
}

async function inspectOne(session: Session, id: string, { dataDir, json }: Omit<ListFlags, 'verify'>): Promise<void> {
  const job = jobOf(dataDir);
  const checkpoint = await inspectCheckpoint(job, id, true);
  if (!checkpoint) {
    const known = (await checkpointIds(job)).join(', ') || 'none';
    throw new MillraceError('bad-usage', `Job ${job.id} has no checkpoint ${id}. It has: ${known}.`);
  }
  const { path, manifest, problem } = checkpoint;
  if (problem !== null) throw new MillraceError('checkpoint-corrupt', problem);
  await session.print(json ? `${JSON.stringify(manifest, null, 2)}\n` : describe(path, manifest));
}

function toJson({ id, path, manifest, condition, problem }: SavedCheckpoint): object {
  return {
    id,
    reason: manifest?.reason ?? null,
    step: manifest && (trainedIn(manifest)?.step ?? null),
    createdAt: manifest?.createdAt ?? null,
    bytes: manifest && bytesOf(manifest),
    condition,
    problem,
    path,
  };
}

function toRow({ id, manifest, condition }: SavedCheckpoint): readonly string[] {
  if (!manifest) return [id, '–', '–', '–', '–', condition];
  const step = trainedIn(manifest)?.step;
  return [
    id,
    manifest.reason,
    step === undefined ? '–' : count(step),
    `${age(Date.now() - Date.parse(manifest.createdAt))} ago`,
    size(bytesOf(manifest)),
    condition,
  ];
}

function describe(path: string, manifest: Manifest): string {
  const trained = trainedIn(manifest);
  const facts: (readonly [string, string])[] = [
    ['checkpoint', `${manifest.id} (${manifest.reason}), intact`],
    ['job', manifest.jobId],
    ['saved', manifest.createdAt],
    ['path', path],
  ];
  if (trained) {
    const { tokens, bytes, bits } = trained.totals;
    facts.push(['step', count(trained.step)], ['trained on', `${count(tokens)} tokens, ${size(bytes)} of text`]);
    if (bytes > 0) facts.push(['bits per byte', figure(bits / bytes)]);
  }
  for (const [name, value] of Object.entries(manifest.describe)) {
    facts.push([name, typeof value === 'string' ? value : JSON.stringify(value)]);
  }
  facts.push(['states of', Object.keys(manifest.states).join(', ') || 'none']);
  const files = manifest.files.map(({ name, bytes, sha256, uid }) => [
    name,
    size(bytes),
    sha256.slice(0, 12),
    uid ?? '–',
  ]);
  return `${table(null, facts)}\n${table(['file', 'size', 'sha256', 'operator'], files)}`;
}
