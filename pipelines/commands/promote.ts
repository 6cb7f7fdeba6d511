import { Command } from 'commander';
import { z } from 'zod';
import { askControl, lockJob } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { WeightsVersion } from '../../operators/ports.ts';
import type { Json } from '../../operators/types.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { demotedByHand, onlyOf, promotedByHand } from '../promotion/by-hand.ts';
import { Champions } from '../promotion/champions.ts';
import type { PromotionState } from '../promotion/promotion-state.ts';
import { snapshotNamed } from '../promotion/snapshots.ts';
import { jobGraph } from '../redeploy/graph-history.ts';
import { count } from '../terminal/format.ts';
import { jobOf } from './current-job.ts';
import { dataDirOption } from './options.ts';
import { inSession } from './session.ts';
import type { Session } from './session.ts';

interface Flags {
  readonly dataDir: string;
  readonly json?: true;
}

interface Decided {
  readonly snapshot: WeightsVersion;
  readonly champion: WeightsVersion | null;
}

const EXAMPLES = `
What speaks is a matter of the graph's promote:, which examines each new snapshot. These commands decide instead, of a job that
runs or not; results that are worse than those of the one before still take the place away again.

Examples:
  millrace models
  millrace promote 000000012
  millrace promote
  millrace demote
`;

const versionSchema = z.object({ id: z.string(), step: z.number() });
const decidedSchema: z.ZodType<Decided> = z.object({ snapshot: versionSchema, champion: versionSchema.nullable() });

/** `millrace promote`: lets a snapshot speak. */
export function promoteCommand(): Command {
  return new Command('promote')
    .description('Let a snapshot speak, whatever its exam has come to.')
    .argument('[version]', 'as millrace models lists it, or its number; the newest')
    .addOption(dataDirOption())
    .option('--json', 'print who speaks as JSON')
    .addHelpText('after', EXAMPLES)
    .action((version: string | undefined, flags: Flags) =>
      inSession(async (session) => {
        const job = await promotingJob(flags.dataDir);
        const asked = await askControl(flags.dataDir, 'promote', version ?? null);
        const decided = asked ? decidedSchema.parse(asked.output) : await promoteAtRest(job, version ?? null, flags);
        await report(session, decided, asked !== null, flags);
      }),
    );
}

/** `millrace demote`: lets the champion before speak again. */
export function demoteCommand(): Command {
  return new Command('demote')
    .description('Let the champion before this one speak again.')
    .addOption(dataDirOption())
    .option('--json', 'print who speaks as JSON')
    .addHelpText('after', EXAMPLES)
    .action((flags: Flags) =>
      inSession(async (session) => {
        const job = await promotingJob(flags.dataDir);
        const asked = await askControl(flags.dataDir, 'demote', null);
        const decided = asked ? decidedSchema.parse(asked.output) : await atRest(job, flags, demotedByHand);
        await report(session, decided, asked !== null, flags);
      }),
    );
}

async function promoteAtRest(job: JobFolder, version: string | null, flags: Flags): Promise<Decided> {
  const snapshot = await snapshotNamed(job, version);
  return atRest(job, flags, (state) => promotedByHand(state, snapshot));
}

/** Decides for a job that does not run; it tells of it when it runs again. */
async function atRest(
  job: JobFolder,
  { dataDir }: Flags,
  transition: (state: PromotionState) => PromotionState,
): Promise<Decided> {
  const lock = await lockJob(dataDir);
  try {
    return onlyOf(await (await Champions.open(job)).change(transition));
  } finally {
    await lock.release();
  }
}

/** The folder's job, whose graph must promote. */
async function promotingJob(dataDir: string): Promise<JobFolder> {
  const job = jobOf(dataDir);
  if ((await jobGraph(job))?.promote) return job;
  throw new MillraceError(
    'bad-usage',
    `The graph of job ${job.id} does not say promote:, so each new snapshot speaks. Add promote: {} to it first.`,
  );
}

async function report(session: Session, decided: Decided, isRunning: boolean, { json }: Flags): Promise<void> {
  const { snapshot, champion } = decided;
  const line: Json = { snapshot: { ...snapshot }, champion: champion && { ...champion } };
  if (json) return session.print(`${JSON.stringify(line)}\n`);
  const when = isRunning ? 'speaks now' : 'speaks when the job runs again';
  const before = snapshot.id === champion?.id ? '' : `${named(snapshot)} speaks no more; `;
  await session.print(`${before}${champion ? `${named(champion)} ${when}` : 'nobody speaks'}.\n`);
}

function named({ id, step }: WeightsVersion): string {
  return `${id} (step ${count(step)})`;
}
