import { isDeepStrictEqual } from 'node:util';
import { lockJob, logDeadLetters, logLedger } from '../../infra/index.ts';
import type { KafkaLogOptions } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type {
  DeadLetters,
  Formats,
  GroupMembership,
  Ledger,
  NewRecord,
  Position,
  Tokenizer,
  TopicLog,
  Uid,
} from '../../operators/index.ts';
import { beginImport } from '../interchange/begin-import.ts';
import { createTopics } from './create-topics.ts';
import { feedOnce } from './feeds/feed.ts';
import { sotuRecords } from './feeds/sotu.ts';
import type { Graph } from '../spec/graph.ts';
import { DEAD_LETTER_TOPIC } from '../spec/lint-topics.ts';
import { encodeInput } from '../topics/encode.ts';
import { formatsOf } from '../topics/formats.ts';
import { adoptGraph } from '../redeploy/adopt-graph.ts';
import type { AdoptedGraph } from '../redeploy/adopt-graph.ts';
import { beginFork } from '../redeploy/begin-fork.ts';
import { finishGoingBack } from '../redeploy/go-back.ts';
import { logIdentity } from '../redeploy/fork-job.ts';
import type { Plan } from '../redeploy/plan.ts';
import { changesVocabulary } from '../redeploy/plan-settings.ts';
import { undoBeyond } from '../redeploy/undo-beyond.ts';
import { Champions } from '../promotion/champions.ts';
import { currentJob, dataFolder, goOnOrBegin } from './job-folder.ts';
import { readJobRecord } from './job-record.ts';
import type { DataFolder, JobFolder, LogKind } from './job-folder.ts';
import { checkGroup, joinGroup, ledgerTopic } from './membership.ts';
import { openLog } from './open-log.ts';
import type { LogPlace } from './open-log.ts';
import { settleTraining } from './training-settings.ts';
import type { TrainingSettings } from './training-settings.ts';
import { prepareTokenizer, trainedTopics } from './prepare-tokenizer.ts';
import { topicEnds } from './topic-ends.ts';
import { laterTokenizerFile, tokenizerFile } from './vocabulary.ts';

export interface OpenJobOptions {
  readonly graph: Graph;
  /** Jobs and locks are in the folder, wherever the topics are. */
  readonly place: LogPlace;
  /** Starts a new job on the topics as they are, and leaves the old one's folder alone. */
  readonly fresh: boolean;
  /** Starts a new job from a savepoint: its folder, or its id in the current job. */
  readonly from?: string | undefined;
  /** Consumer group that shares the trained topics; without one the job reads all of them. */
  readonly group: string | undefined;
  /** Uids whose state a changed graph may lose. */
  readonly discard?: readonly Uid[];
  /** Told what a changed graph changes, before it does. */
  readonly onPlan?: (plan: Plan) => void;
  /** How brokers are borne that do not answer; the embedded log has none. */
  readonly brokers?: Pick<KafkaLogOptions, 'patienceMs' | 'waitForBrokers' | 'onOutage'>;
  readonly onWarning: (message: string) => void;
  readonly signal: AbortSignal;
}

/** A job with all that its streams share: nobody else has it while it is open. */
export interface OpenJob extends TrainingSettings {
  readonly folder: JobFolder;
  readonly dataDir: string;
  readonly graph: Graph;
  /** The graph's place in the job's history. */
  readonly adopted: AdoptedGraph;
  readonly log: TopicLog;
  /** Where topics that are read from `latest` ended when the job was opened, or given this graph. */
  readonly ends: readonly Position[];
  /** Of which log the offsets are. */
  readonly logIdentity: string;
  readonly formats: Formats;
  /** Each stream has a ledger of its own. */
  ledgerOf(stream: string, log: TopicLog): Ledger;
  readonly deadLetters: DeadLetters;
  /** Who may speak. */
  readonly champions: Champions;
  /** The share of the trained topics that is the job's; null where it reads all of them. */
  readonly membership: GroupMembership | null;
  /** Topics that the training stream reads. */
  readonly trainedTopics: readonly string[];
  readonly tokenizer: Tokenizer;
  /** Where it is kept. */
  readonly tokenizerFile: string;
  close(): Promise<void>;
}

/** Opens the data folder's job, or begins one. Resolves with null when told to stop before it was ready. */
export async function openJob(options: OpenJobOptions): Promise<OpenJob | null> {
  const { graph, place, discard = [], onPlan = () => {}, onWarning, signal } = options;
  const { dataDir, brokers } = place;
  if (options.group !== undefined) checkGroup(graph, place);
  const lock = await lockJob(dataDir);
  const closers: (() => Promise<void>)[] = [() => lock.release()];
  const close = async (): Promise<void> => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    const data = dataFolder(dataDir);
    const log = await openLog(place, { ...options.brokers, hurry: signal });
    closers.push(() => log.close());
    const kind = brokers ? 'kafka' : 'embedded';
    const identity = logIdentity(dataDir, brokers);
    const folder =
      options.from === undefined
        ? await ownJob(data, kind, options)
        : await beginFork({ data, kind, identity, graph, from: options.from, discard, onPlan, onWarning });
    const ledgerOf: OpenJob['ledgerOf'] = (stream, through) => logLedger(through, ledgerTopic(folder.id, stream));
    const beforeSwitch = async (from: Graph, plan: Plan): Promise<void> => {
      if (changesVocabulary(plan)) await makeVocabulary(options, folder, log);
      await undoBeyond({ folder, graph: from, log, ledgerOf }, plan);
    };
    await finishGoingBack({ folder, ledgerOf, log });
    const adopted = await adoptGraph({ job: folder, graph, discard, onPlan, beforeSwitch });
    await createTopics(log, graph, onWarning);
    const formats = formatsOf(graph);
    await feed(log, formats, graph, onWarning);
    const ends = await topicEnds(log, graph);
    const tokenizerPath = tokenizerFile(folder, graph.tokenizer);
    const tokenizer = await prepareTokenizer({ graph, log, formats, path: tokenizerPath, onWarning, signal });
    if (!tokenizer) {
      await close();
      return null;
    }
    const { vocabSize } = tokenizer;
    const training = await settleTraining({ graph, folder, vocabSize, onWarning, signal });
    const membership = options.group === undefined ? null : joinGroup(log, options.group, folder.id, graph);
    if (membership) closers.push(() => membership.close());
    const champions = await Champions.open(folder);
    return {
      folder,
      dataDir,
      graph,
      adopted,
      log,
      ends,
      logIdentity: identity,
      formats,
      tokenizer,
      tokenizerFile: tokenizerPath,
      champions,
      membership,
      trainedTopics: trainedTopics(graph),
      ledgerOf,
      deadLetters: logDeadLetters(log, DEAD_LETTER_TOPIC),
      ...training,
      close,
    };
  } catch (error) {
    await close();
    // Who leaves while brokers are waited for has not met with a fault.
    if (signal.aborted && error instanceof MillraceError && error.code === 'broker-unreachable') return null;
    throw error;
  }
}

/** The data folder's job, or a new one where there is none or a fresh one is wanted. */
async function ownJob(
  data: DataFolder,
  kind: LogKind,
  { graph, fresh, onWarning }: OpenJobOptions,
): Promise<JobFolder> {
  const { import: imported } = graph.model;
  const begins = fresh || currentJob(data) === null;
  if (!imported || !begins) return goOnOrBegin(data, kind, fresh, onWarning);
  return beginImport({ data, kind, graph, imported, onWarning });
}

/** The vocabulary that a changed graph asks for: the one that the job began with, or one learnt from the text that is there. */
async function makeVocabulary(
  { graph, onWarning, signal }: OpenJobOptions,
  folder: JobFolder,
  log: TopicLog,
): Promise<void> {
  const first = (await readJobRecord(folder))?.tokenizer;
  if (isDeepStrictEqual(first, graph.tokenizer)) return;
  await createTopics(log, graph, onWarning);
  const path = laterTokenizerFile(folder, graph.tokenizer);
  const made = await prepareTokenizer({ graph, log, formats: formatsOf(graph), path, onWarning, signal });
  if (made) return;
  throw new MillraceError('job-busy', 'Stopped before the new vocabulary was there. The job has its old graph.');
}

/** Without its data set a graph still runs, on what people produce themselves. */
async function feed(
  log: TopicLog,
  formats: Formats,
  { feed: spec }: Graph,
  onWarning: (message: string) => void,
): Promise<void> {
  if (!spec) return;
  try {
    const format = formats.of(spec.topic);
    const records = async (): Promise<readonly NewRecord[]> => {
      const texts = await sotuRecords();
      return Promise.all(texts.map(async ({ key, value }) => ({ key, value: await encodeInput(value, format) })));
    };
    await feedOnce(log, spec.topic, spec.dataset, records);
  } catch (error) {
    if (!(error instanceof MillraceError && error.code === 'dataset-missing')) throw error;
    onWarning(error.message);
  }
}
