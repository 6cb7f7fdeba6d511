import { Command, Option } from 'commander';
import { checkReach } from '../../infra/index.ts';
import type { Outage } from '../../infra/index.ts';
import { presetNames } from '../../model/presets.ts';
import type { PresetName } from '../../model/presets.ts';
import type { EngineSettings } from '../../model/settings.ts';
import { toMs } from '../../operators/units.ts';
import { DEFAULT_PATIENCE } from '../spec/kafka.ts';
import type { EngineWords } from '../spec/engine-words.ts';
import type { Graph } from '../spec/graph.ts';
import { currentJob, dataFolder } from '../job/job-folder.ts';
import { placeOf } from '../job/open-log.ts';
import type { LogPlace } from '../job/open-log.ts';
import { openJob } from '../job/open-job.ts';
import { runJob } from '../job/run-job.ts';
import type { HttpPlace } from '../job/serve-http.ts';
import { suitableEngine } from '../job/suitable-engine.ts';
import { graphOfSavepoint } from '../redeploy/fork-job.ts';
import type { Plan } from '../redeploy/plan.ts';
import { staleModules } from '../own-operators/stale-modules.ts';
import { createReporter } from '../terminal/status-line.ts';
import { DEFAULT_GRAPH, graphFor } from './graph-for.ts';
import { brokersOption, collect, dataDirOption, engineOption, httpPlace, integer, milliseconds } from './options.ts';
import { inSession } from './session.ts';

interface UpOptions extends LogPlace {
  readonly preset?: Graph['model']['preset'];
  readonly engine?: EngineWords;
  readonly seed?: number;
  readonly maxSteps?: number;
  /** Milliseconds. */
  readonly untilIdle?: number;
  /** Milliseconds. */
  readonly patience?: number;
  readonly group?: string;
  readonly wait?: true;
  /** The token comes from the environment, where other users don't see it. */
  readonly http?: Pick<HttpPlace, 'host' | 'port'>;
  readonly fresh?: true;
  readonly from?: string;
  readonly discard: readonly string[];
  readonly json?: true;
}

/** Ctrl-C is how a job is meant to be ended. */
const STOPPED = 0;
const FAREWELL = 'Making a savepoint... (Ctrl-C again ends at once; only work since the last checkpoint is repeated)';

/** `millrace up`: runs a graph until it is stopped, and goes on where it was stopped last. */
export function upCommand(): Command {
  return new Command('up')
    .description('Run a graph: stream text into training, and answers out. Goes on where it was stopped.')
    .argument(
      '[graph]',
      "a graph as YAML or JSON; by default the job's, or one that learns from the State of the Union addresses",
    )
    .addOption(dataDirOption())
    .addOption(brokersOption())
    .addOption(new Option('--preset <name>', "the model's size").choices(presetNames))
    .addOption(engineOption())
    .option('--seed <n>', 'seed of the first weights', integer(0))
    .option('--max-steps <n>', 'end when the job has done so many steps in all', integer(1))
    .option('--until-idle <time>', 'end when everything is trained and nothing has arrived for so long', milliseconds)
    .option('--patience <time>', 'wait so long for Kafka brokers that do not answer (default: 5m)', milliseconds)
    .option('--group <name>', 'share the trained topics with the jobs of this consumer group (Kafka)')
    .option('--wait', 'wait for brokers also at the start, where otherwise some seconds must do')
    .option('--http <place>', "let the model be asked as OpenAI's API is, at this port or host:port", httpPlace)
    .option('--fresh', 'start a new job on the topics as they are')
    .addOption(
      new Option(
        '--from <savepoint>',
        'start a new job from a savepoint: its folder, or its id in the current job',
      ).conflicts('fresh'),
    )
    .option(
      '--discard <uid>',
      'an operator whose state a changed graph may lose, or UID.TOPIC (may be given again)',
      collect,
      [],
    )
    .option('--json', 'print events as JSON, one a line')
    .addHelpText(
      'after',
      `
Examples:
  millrace up
  millrace up --until-idle 5s --max-steps 200
  millrace up my-graph.yaml --preset nano --data-dir /var/lib/millrace
  millrace up --brokers localhost:9092 --patience 1h
  millrace up --brokers localhost:9092 --group readers --data-dir second
  millrace up --http 127.0.0.1:8080
  millrace up --json | jq 'select(.event == "step") | .bitsPerByte'

Whoever asks over HTTP must bring MILLRACE_HTTP_TOKEN, where it is set; it must be, to listen beyond this machine. Where
MILLRACE_HTTP_DEPLOY_TOKEN is set, whoever reads or changes the graph must bring that one instead.
Ctrl-C makes a savepoint and ends; a second one ends at once, and costs only the work since the last checkpoint.
`,
    )
    .action(up);
}

function up(file: string | undefined, options: UpOptions): Promise<void> {
  return inSession((session) => run(file, options, session.signal), STOPPED);
}

async function run(file: string | undefined, options: UpOptions, stop: AbortSignal): Promise<void> {
  const token = process.env['MILLRACE_HTTP_TOKEN'];
  const graphsToken = process.env['MILLRACE_HTTP_DEPLOY_TOKEN'];
  const http = options.http && { ...options.http, token, graphsToken };
  if (http) checkReach(http);
  const graph = withOverrides(await startingGraph(file, options), options);
  const reporter = createReporter({
    mode: options.json ? 'json' : process.stdout.isTTY ? 'tty' : 'plain',
    out: process.stdout,
    err: process.stderr,
  });
  const onWarning = (message: string): void => reporter.warn(message);
  for (const warning of staleModules(graph.operators)) onWarning(warning);
  const { fresh = false, maxSteps = Infinity, untilIdle: untilIdleMs = Infinity } = options;
  const place = placeOf(graph, options);
  try {
    const onEvent = reporter.event.bind(reporter);
    const brokers = {
      patienceMs: options.patience ?? toMs(graph.kafka?.patience ?? DEFAULT_PATIENCE),
      waitForBrokers: options.wait ?? false,
      onOutage: (outage: Outage): void => onEvent({ event: 'outage', ...outage }),
    };
    const group = options.group ?? graph.kafka?.group;
    const onPlan = (plan: Plan): void => onEvent({ event: 'plan', plan });
    const { discard, from } = options;
    const job = await openJob({ graph, place, group, fresh, from, discard, brokers, onPlan, onWarning, signal: stop });
    if (!job) {
      onWarning('Stopped before anything was trained.');
      return;
    }
    const farewell = (): void => onWarning(FAREWELL);
    if (stop.aborted) farewell();
    else stop.addEventListener('abort', farewell);
    try {
      onEvent(await runJob({ job, maxSteps, untilIdleMs, http, onEvent, onWarning, stop }));
    } finally {
      await job.close();
    }
  } finally {
    reporter.close();
  }
}

function startingGraph(file: string | undefined, { dataDir, fresh, from }: UpOptions): Promise<Graph> {
  if (file === undefined && from !== undefined) return graphOfSavepoint(from, currentJob(dataFolder(dataDir)));
  return graphFor(fresh ? (file ?? DEFAULT_GRAPH) : file, dataDir);
}

function withOverrides(graph: Graph, { preset: name, seed, engine }: UpOptions): Graph {
  const { model } = graph;
  const preset = name ?? model.preset;
  const said = engine === undefined ? model.engine : engineOf(engine, preset);
  return { ...graph, model: { ...model, preset, seed: seed ?? model.seed, engine: said } };
}

/** What the words leave open is by the rule of thumb. */
function engineOf(words: EngineWords, preset: PresetName): EngineSettings | 'auto' {
  if (words === 'auto') return words;
  return words === 'eager' ? { mode: 'eager' } : { ...suitableEngine(preset), ...words };
}
