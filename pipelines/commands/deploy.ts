import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { z } from 'zod';
import { askControl } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Json } from '../../operators/types.ts';
import type { Deployed } from '../redeploy/deployer.ts';
import { currentGraph, graphVersion, readGraphOf, versionBefore } from '../redeploy/graph-history.ts';
import { planRedeploy } from '../redeploy/plan.ts';
import { savedStates } from '../redeploy/saved-states.ts';
import { graphDocument } from '../spec/graph.ts';
import type { Graph } from '../spec/graph.ts';
import { duration } from '../terminal/format.ts';
import { planLines } from '../terminal/plan-view.ts';
import { jobOf } from './current-job.ts';
import { readGraph } from './lint.ts';
import { collect, dataDirOption, integer } from './options.ts';
import { inSession } from './session.ts';
import type { Session } from './session.ts';

interface DeployFlags {
  readonly dataDir: string;
  readonly discard: readonly string[];
  readonly yes?: true;
  readonly json?: true;
}

const EXAMPLES = `
The job that runs on the data folder checks and plans the graph, builds it beside the running one, and hands over at one
cut: no record is lost, none is trained twice. A job that does not run takes a changed graph by millrace up.

Examples:
  millrace deploy graph.yaml
  millrace deploy graph.yaml --discard pack --yes
  millrace rollback
  millrace graphs
`;

/** `millrace deploy`: gives a running job another graph. */
export function deployCommand(): Command {
  return withFlags(new Command('deploy').argument('<graph>', 'the changed graph, as YAML or JSON'))
    .description('Give the running job another graph, without stopping it.')
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
    .addOption(dataDirOption())
    .option('--json', 'print what happens as JSON, one a line');
}

const deployedSchema: z.ZodType<Deployed> = z.object({
  outcome: z.enum(['nothing', 'live']),
  version: z.number(),
  pauseMs: z.number().nullable(),
  cut: z.string().nullable(),
});

async function deploy(session: Session, graph: Graph, how: 'deploy' | 'rollback', flags: DeployFlags): Promise<void> {
  const { dataDir, discard, json } = flags;
  const job = jobOf(dataDir);
  const current = await currentGraph(job);
  const from = current && readGraphOf(await graphVersion(job, current.version));
  if (from && !json) {
    const plan = planRedeploy({ from, to: graph, states: await savedStates(job, from), discard: new Set(discard) });
    await session.print(planLines(plan));
    if (plan.outcome === 'changes' && !flags.yes && !(await agreed(session.signal))) {
      await session.print('Left as it was.\n');
      return;
    }
  }
  const say = (progress: Json): void => console.log(json ? JSON.stringify(progress) : progressLine(progress));
  // The job may have got another graph since its plan was shown.
  const seen = current ? { expectedVersion: current.version } : {};
  const asked = await askControl(dataDir, 'deploy', { graph: graphDocument(graph), discard, how, ...seen }, say);
  if (!asked) {
    throw new MillraceError(
      'bad-usage',
      `No job runs on ${dataDir}. Start it with the changed graph: millrace up does the same plan.`,
    );
  }
  const deployed = deployedSchema.parse(asked.output);
  await session.print(json ? `${JSON.stringify(deployed)}\n` : `${deployedLine(deployed)}\n`);
}

/** Asks on a terminal; elsewhere nobody could answer, so that `--yes` is needed. */
async function agreed(signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new MillraceError('bad-usage', 'There is nobody to ask whether to go on. Say --yes to do without.');
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question('Go on? [y/N] ', { signal })).trim());
  } finally {
    terminal.close();
  }
}

const PHASES: Readonly<Record<string, string>> = {
  planned: 'Checked and planned.',
  warm: 'Built and warmed up beside the running graph.',
  cut: 'The cut is stored.',
};

function progressLine(progress: Json): string {
  const parsed = z.object({ phase: z.string() }).safeParse(progress);
  return (parsed.success && PHASES[parsed.data.phase]) || JSON.stringify(progress);
}

function deployedLine({ outcome, version, pauseMs, cut }: Deployed): string {
  if (outcome === 'nothing') return `Version ${version} stays: there is nothing to change.`;
  if (cut === null) return `Version ${version} is live; training went on meanwhile.`;
  const pause = pauseMs === null ? 'nothing waits to be trained' : `training paused for ${duration(pauseMs)}`;
  return `Version ${version} is live since cut ${cut}; ${pause}.`;
}
