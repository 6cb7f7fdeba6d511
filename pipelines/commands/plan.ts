import { Command } from 'commander';
import { planFor } from '../redeploy/plan-for.ts';
import type { Plan } from '../redeploy/plan.ts';
import { planLines } from '../terminal/plan-view.ts';
import { jobOf } from './current-job.ts';
import { readGraph } from './lint.ts';
import { collect, dataDirOption } from './options.ts';
import { inSession } from './session.ts';

interface PlanFlags {
  readonly dataDir: string;
  readonly discard: readonly string[];
  readonly json?: true;
}

/** `millrace plan` answers with its exit code too, so that a script may ask. */
const EXIT_CODES: Readonly<Record<Plan['outcome'], number>> = { nothing: 0, refused: 1, changes: 2 };

const EXAMPLES = `
Exit code: 0 nothing to do, 2 changes, 1 refused. Changes nothing, whether the job runs or not.

Examples:
  millrace plan graph.yaml
  millrace plan graph.yaml --discard pack
  millrace plan graph.yaml --json | jq '.operators[] | select(.action != "kept")'
`;

/** `millrace plan`: what would become of the job of a data folder under another graph. */
export function planCommand(): Command {
  return new Command('plan')
    .description("Show what would become of a job's operators and their state under a changed graph.")
    .argument('<graph>', 'the changed graph, as YAML or JSON')
    .option('--discard <uid>', 'an operator whose state may be lost, or UID.TOPIC (may be given again)', collect, [])
    .addOption(dataDirOption())
    .option('--json', 'print the plan as JSON')
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: PlanFlags) =>
      inSession(async (session) => {
        const plan = await planFor(jobOf(flags.dataDir), readGraph(file), flags.discard);
        await session.print(flags.json ? `${JSON.stringify(plan)}\n` : planLines(plan));
        process.exitCode = EXIT_CODES[plan.outcome];
      }),
    );
}
