import { Command, CommanderError } from 'commander';
import { MillraceError } from '../operators/errors.ts';
import { annealCommand } from './commands/anneal.ts';
import { checkpointsCommand } from './commands/checkpoints.ts';
import { deadLettersCommand } from './commands/deadletters.ts';
import { deployCommand, rollbackCommand } from './commands/deploy.ts';
import { describeCommand } from './commands/describe.ts';
import { evalCommand } from './commands/eval.ts';
import { exportCommand } from './commands/export.ts';
import { generateCommand } from './commands/generate.ts';
import { graphsCommand } from './commands/graphs.ts';
import { importCommand } from './commands/import.ts';
import { lintCommand } from './commands/lint.ts';
import { modelsCommand } from './commands/models.ts';
import { planCommand } from './commands/plan.ts';
import { produceCommand } from './commands/produce.ts';
import { demoteCommand, promoteCommand } from './commands/promote.ts';
import { savepointCommand } from './commands/savepoint.ts';
import { tailCommand } from './commands/tail.ts';
import { upCommand } from './commands/up.ts';
import { version } from './version.ts';

export { engineRows } from './commands/engine-rows.ts';

/** Exit codes: done; something failed; the command itself was wrong. */
const FAILED = 1;
const BAD_USAGE = 2;

/** Runs one command line and resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('millrace')
    .description('Streams of text into language-model training, as one online job.')
    .version(version)
    .showHelpAfterError('(add --help for what can be said here)')
    .exitOverride()
    .addHelpText(
      'after',
      '\nSet up and checked by: millrace setup, millrace doctor\nA Kafka broker for development: millrace kafka up\n',
    );
  for (const command of [
    upCommand(),
    produceCommand(),
    tailCommand(),
    generateCommand(),
    evalCommand(),
    annealCommand(),
    lintCommand(),
    describeCommand(),
    planCommand(),
    deployCommand(),
    rollbackCommand(),
    graphsCommand(),
    savepointCommand(),
    checkpointsCommand(),
    modelsCommand(),
    promoteCommand(),
    demoteCommand(),
    deadLettersCommand(),
    importCommand(),
    exportCommand(),
  ]) {
    program.addCommand(command.exitOverride().showHelpAfterError('(add --help for what can be said here)'));
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error);
  }
}

/** Says on stderr what went wrong; a stack only for what nobody foresaw, or when DEBUG asks for it. */
function report(error: unknown): number {
  // Commander has printed its own message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_USAGE;
  if (error instanceof Error && 'code' in error && !process.env['DEBUG']) {
    console.error(`millrace: ${error.message} [${String(error.code)}]`);
    for (let { cause } = error; cause instanceof Error; cause = cause.cause)
      console.error(`  because: ${cause.message}`);
  } else {
    console.error(error);
  }
  return error instanceof MillraceError && error.code === 'bad-usage' ? BAD_USAGE : FAILED;
}
