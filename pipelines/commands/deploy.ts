import { Command } from 'commander';
import { z } from 'zod';
import type { Deployed } from '../redeploy/deployer.ts';
import { currentGraph, graphVersion, readGraphOf, versionBefore } from '../redeploy/graph-history.ts';
import { planRedeploy } from '../redeploy/plan.ts';
import { savedStates } from '../redeploy/saved-states.ts';
import { graphDocument } from '../spec/graph.ts';
import type { Graph } from '../spec/graph.ts';
import type { Bars } from '../spec/deploy.ts';
import { deployedLine } from '../terminal/deploy-view.ts';
import { planLines } from '../terminal/plan-view.ts';
import { jobOf } from './current-job.ts';
import { readGraph } from './lint.ts';
import { agreed, askJob } from './ask-job.ts';
import { isPromoted } from './deploy-shadow.ts';
import { bar, collect, dataDirOption, integer, milliseconds } from './options.ts';
import { inSession } from './session.ts';
import type { Session } from './session.ts';

interface DeployFlags {
  readonly dataDir: string;
  readonly discard: readonly string[];
  /** Milliseconds. */
  readonly watch?: number;
  readonly bar: Partial<Bars>;
  /** Steps. */
  readonly shadow?: number | true;
  readonly promoteIfBetter?: true;
  readonly yes?: true;
  readonly json?: true;
}

const EXAMPLES = `
The job that runs on the data folder checks and plans the graph, builds it beside the running one, and hands over at one
cut: no record is lost, none is trained twice. A job that does not run takes a changed graph by millrace up.

With --watch (or deploy: { watch: 2m } in the graph) the job compares the new graph with the one before for so long, and goes
back to the cut by itself where it does worse than the bars, or fails: bitsPerByte (1.1 times at most), deadLetters (0.01 more
for each record), lag (2 times, once it is over 1000 records), tokensPerSecond (0.5 times at least), restarts (0). What was
trained since is trained again by the old graph. Ctrl-C ends only the command. Exit code 1 where it was gone back from.

With --shadow the new graph first trains on the same records beside the running one, without publishing anything, and is
compared. Exit code 0 promoted (or left, when asked), 1 worse than the bars, or not better with --promote-if-better, 2 only
reported, since nobody could be asked.

Examples:
  millrace deploy graph.yaml
  millrace deploy graph.yaml --discard pack --yes
  millrace deploy graph.yaml --watch 2m --bar bitsPerByte=1.05
  millrace deploy graph.yaml --shadow 200 --promote-if-better --watch 5m
  millrace rollback
  millrace graphs
`;

/** `millrace deploy`: gives a running job another graph. */
export function deployCommand(): Command {
  return withFlags(new Command('deploy').argument('<graph>', 'the changed graph, as YAML or JSON'))
    .description('Give the running job another graph, without stopping it.')
    .option(
      '--shadow [steps]',
      'first train it beside the running one for so many steps (100), and compare',
      integer(1),
    )
    .option('--promote-if-better', 'after --shadow, deploy it if it does better, without asking')
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: DeployFlags) =>
      inSession((session) => deploy(session, readGraph(file), 'deploy', flags)),
    );
}

/** `millrace rollback`: gives a running job a graph that it has had. */
export function rollbackCommand(): Command {
  const command = new Command('rollback').argument(
    '[version]',
    'as millrace graphs lists it; the one before',
    integer(1),
  );
  return withFlags(command)
    .description('Give the running job a graph that it had before. What it has learnt meanwhile stays.')
    .addHelpText('after', EXAMPLES)
    .action((version: number | undefined, flags: DeployFlags) =>
      inSession(async (session) => {
        const job = jobOf(flags.dataDir);
        const wanted = version === undefined ? await versionBefore(job) : await graphVersion(job, version);
        await deploy(session, readGraphOf(wanted), 'rollback', flags);
      }),
    );
}

function withFlags(command: Command): Command {
  return command
    .option('--discard <uid>', 'an operator whose state may be lost, or UID.TOPIC (may be given again)', collect, [])
    .option('--yes', 'do not ask')
    .option(
      '--watch <time>',
      'watch it for so long, such as 2m, and go back by itself where it does worse',
      milliseconds,
    )
    .option('--bar <name=number>', 'what counts as worse, such as bitsPerByte=1.05 (may be given again)', bar, {})
    .addOption(dataDirOption())
    .option('--json', 'print what happens as JSON, one a line');
}

const deployedSchema: z.ZodType<Deployed> = z.object({
  outcome: z.enum(['nothing', 'watching', 'live', 'rolled-back']),
  version: z.number(),
  pauseMs: z.number().nullable(),
  cut: z.string().nullable(),
  note: z.string().nullable(),
});

async function deploy(session: Session, graph: Graph, how: 'deploy' | 'rollback', flags: DeployFlags): Promise<void> {
  const { dataDir, discard, json = false, watch, bar: bars } = flags;
  const job = jobOf(dataDir);
  const current = await currentGraph(job);
  const from = current && readGraphOf(await graphVersion(job, current.version));
  if (from && !json) {
    const plan = planRedeploy({ from, to: graph, states: await savedStates(job, from), discard: new Set(discard) });
    await session.print(planLines(plan));
    const isAsked = plan.outcome === 'changes' && !flags.yes && flags.shadow === undefined;
    if (isAsked && !(await agreed(session.signal))) {
      await session.print('Left as it was.\n');
      return;
    }
  }
  const document = graphDocument(graph);
  if (flags.shadow !== undefined && !(await isPromoted(session, document, flags))) return;
  const request = {
    graph: document,
    discard,
    how,
    bars: { ...bars },
    follow: watch !== undefined,
    ...(watch === undefined ? {} : { watchMs: watch }),
    // The job may have got another graph since its plan was shown.
    ...(current ? { expectedVersion: current.version } : {}),
  };
  const deployed = deployedSchema.parse(await askJob(session, dataDir, 'deploy', request, json));
  await session.print(json ? `${JSON.stringify(deployed)}\n` : `${deployedLine(deployed)}\n`);
  if (deployed.outcome === 'rolled-back' && how === 'deploy') process.exitCode = 1;
}
