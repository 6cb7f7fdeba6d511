import { Command } from 'commander';
import { z } from 'zod';
import { askControl, dropCheckpoint } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { CheckpointInfo, Logger } from '../../operators/ports.ts';
import { checkpointIds, inspectCheckpoint } from '../job/saved-checkpoints.ts';
import { Champions } from '../promotion/champions.ts';
import { jobGraph } from '../redeploy/graph-history.ts';
import { nameSavepoint } from '../redeploy/name-savepoint.ts';
import { size } from '../terminal/format.ts';
import { inspectCommand, listCommand } from './checkpoints.ts';
import { jobOf } from './current-job.ts';
import { dataDirOption } from './options.ts';
import { inSession } from './session.ts';
import type { Session } from './session.ts';

interface Flags {
  readonly dataDir: string;
  readonly json?: true;
}

interface DropFlags extends Flags {
  readonly force?: true;
}

const EXAMPLES = `
A savepoint is a checkpoint that is asked for: it is yours, and stays until you drop it. millrace up --from starts a new job
from one, also on another data folder.

Examples:
  millrace savepoint create
  millrace savepoint list
  millrace savepoint drop 000000013-savepoint
`;

const reportSchema: z.ZodType<Pick<CheckpointInfo, 'id' | 'path' | 'bytes'>> = z.object({
  id: z.string(),
  path: z.string(),
  bytes: z.number(),
});

/** `millrace savepoint`: checkpoints that belong to people. */
export function savepointCommand(): Command {
  const create = new Command('create')
    .description("Save the job as it is now, or as it was stopped, and print the savepoint's id.")
    .addOption(dataDirOption())
    .option('--json', 'print it as JSON')
    .action((flags: Flags) => inSession((session) => createOne(session, flags)));
  const drop = new Command('drop')
    .description('Remove a savepoint.')
    .argument('<id>', 'as listed')
    .addOption(dataDirOption())
    .option('--force', "also where it is the job's newest checkpoint: what came after the one before is trained again")
    .action((id: string, flags: DropFlags) => inSession((session) => dropOne(session, id, flags)));
  return new Command('savepoint')
    .description('Create, list, inspect and drop savepoints.')
    .addHelpText('after', EXAMPLES)
    .addCommand(create.exitOverride())
    .addCommand(listCommand('savepoints').exitOverride())
    .addCommand(inspectCommand().exitOverride())
    .addCommand(drop.exitOverride());
}

const logger: Logger = { info: () => {}, warn: (message) => console.error(`millrace: ${message}`) };

async function createOne(session: Session, { dataDir, json }: Flags): Promise<void> {
  const job = jobOf(dataDir);
  const asked = await askControl(dataDir, 'savepoint', null);
  const saved = asked ? reportSchema.parse(asked.output) : await nameSavepoint(dataDir, job, logger);
  const { id, path, bytes } = saved;
  await session.print(json ? `${JSON.stringify({ id, path, bytes })}\n` : `${id}  ${size(bytes)}  ${path}\n`);
}

async function dropOne(session: Session, id: string, { dataDir, force }: DropFlags): Promise<void> {
  const job = jobOf(dataDir);
  const saved = await inspectCheckpoint(job, id, false);
  const isOurs = saved && (saved.manifest === null || ['savepoint', 'deploy', 'stop'].includes(saved.manifest.reason));
  if (!isOurs) {
    throw new MillraceError('bad-usage', `Job ${job.id} has no savepoint ${id}; millrace savepoint list shows them.`);
  }
  if (!force && (await jobGraph(job))?.promote && (await Champions.open(job)).held.has(id)) {
    throw new MillraceError(
      'bad-usage',
      `${id} speaks, or did before and may have to again. Promote another first, or say --force to drop it all the same.`,
    );
  }
  if (!force && (await checkpointIds(job)).at(-1) === id) {
    throw new MillraceError(
      'bad-usage',
      `${id} is the newest checkpoint of job ${job.id}: without it, what came after the one before is trained again. ` +
        'Say --force to drop it all the same.',
    );
  }
  await dropCheckpoint(job.checkpoints, id);
  await session.print(`Dropped ${id}.\n`);
}
