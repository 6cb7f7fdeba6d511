import { availableParallelism } from 'node:os';
import { engineSchema } from '../../model/settings.ts';
import type { EngineSettings } from '../../model/settings.ts';
import { versionIn } from '../redeploy/cut-version.ts';
import { currentGraph } from '../redeploy/graph-history.ts';
import { describeEngine } from './describe-engine.ts';
import type { JobFolder } from './job-folder.ts';
import { checkpointIds, inspectCheckpoint } from './saved-checkpoints.ts';

export interface EngineQuestion {
  /** What the graph says. */
  readonly wanted: EngineSettings | 'auto';
  /** What the job's weights were trained with so far; null for a job that is about to begin. */
  readonly used: EngineSettings | null;
  /** What suits this machine. */
  readonly choose: () => Promise<EngineSettings>;
  readonly onWarning: (message: string) => void;
  /** This process's, which the trainer's comes from. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * The engine of a job, every setting of it. A job goes on with the engine that it was trained with, since its bits depend
 * on it; another one that the graph names is heeded, with a warning. What the graph leaves open stays as it was.
 */
export async function settleEngine(question: EngineQuestion): Promise<EngineSettings> {
  const { wanted, used, choose, onWarning } = question;
  if (wanted === 'auto') return settled(used ?? (await choose()), question);
  const given = { ...(used && 'threads' in used && used.threads ? { threads: used.threads } : {}), ...wanted };
  const engine = settled(engineSchema.parse(wanted.mode === 'eager' ? wanted : given), question);
  if (used && describeEngine(withThreads(used)) !== describeEngine(engine)) {
    onWarning(
      `model.engine of the graph (${describeEngine(engine)}) is not the one that this job was trained with ` +
        `(${describeEngine(withThreads(used))}): the bits of its losses and weights may differ from here on. Set it to ` +
        'auto to go on as before.',
    );
  }
  return engine;
}

function settled(engine: EngineSettings, { onWarning, environment }: EngineQuestion): EngineSettings {
  const whole = withThreads(engine);
  for (const name of ['TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS']) {
    const own = environment[name];
    if (own === undefined || whole.mode === 'eager' || own === String(whole.threads)) continue;
    onWarning(
      `${name}=${own} of the environment goes before the job's ${whole.threads}: its bits may differ from those of a ` +
        'run without it. Unset it to go on as before.',
    );
  }
  return whole;
}

/** As many threads as the machine has processors, where none are named: what TensorFlow would take. */
function withThreads(engine: EngineSettings): EngineSettings {
  if (engine.mode === 'eager') return engine;
  return { ...engine, threads: engine.threads ?? availableParallelism() };
}

/** The engine that the newest checkpoint that counts was made with; null where none says. */
export async function engineOfCheckpoints(job: JobFolder): Promise<EngineSettings | null> {
  const { undone = [] } = (await currentGraph(job)) ?? {};
  for (const id of (await checkpointIds(job)).toReversed()) {
    const saved = await inspectCheckpoint(job, id, false);
    if (saved?.manifest && undone.includes(versionIn(saved.manifest))) continue;
    const parsed = engineSchema.safeParse(saved?.manifest?.describe['engine']);
    if (parsed.success) return parsed.data;
  }
  return null;
}
