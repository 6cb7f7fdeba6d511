import { setTimeout as sleep } from 'node:timers/promises';
import { deadLetterRecord } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import { orDeadLetter } from '../../operators/poison.ts';
import type { DeadLetter, TopicRecord } from '../../operators/ports.ts';
import type { CheckpointReport, LogRecord } from '../../operators/types.ts';
import type { JobFolder } from '../job/job-folder.ts';
import type { OpenJob } from '../job/open-job.ts';
import type { Promotion } from '../promotion/promotion.ts';
import { graphVersions } from '../redeploy/graph-history.ts';
import type { GraphVersion } from '../redeploy/graph-history.ts';
import { graphDocument } from '../spec/graph.ts';
import { DEAD_LETTER_TOPIC, DEPLOYMENTS_TOPIC } from '../spec/lint-topics.ts';
import { parseGraph } from '../spec/parse-graph.ts';
import { trainingStream } from '../spec/streams.ts';
import { readCommand } from './control-command.ts';
import type { ControlCommand } from './control-command.ts';
import { requestRecord } from './deployment-record.ts';
import type { DeploymentRecord } from './deployment-record.ts';
import type { DeploymentTopic } from './deployment-topic.ts';
import { reasonOf } from './deployments.ts';
import type { Attempt, Deployments } from './deployments.ts';
import { savedFor, wantSavepoint } from './wanted-savepoint.ts';

export interface CommandHandlerOptions {
  readonly job: () => Pick<OpenJob, 'folder' | 'formats' | 'graph'>;
  readonly deployments: Pick<Deployments, 'attempt' | 'attemptRollback'>;
  /** Decides which snapshots speak; null where each does. */
  readonly promotion: Pick<Promotion, 'promote' | 'demote'> | null;
  readonly topic: Pick<DeploymentTopic, 'encoded' | 'ready'>;
  readonly savepoint: () => Promise<Pick<CheckpointReport, 'id'>>;
  /** Resolves when the job takes commands; with false when it is over. */
  readonly whenFlowing: () => Promise<boolean>;
  readonly onDeadLetter: (letter: DeadLetter) => void;
  readonly onWarning: (message: string) => void;
}

const AGAIN_MS = 1000;
/** A graph whose deployment takes the whole process with it so often is given up. */
const MOST_DEATHS = 3;
/** Not the graph's fault: the job ended, or the process was killed, before anything came of it. */
const INTERRUPTED: ReadonlySet<string | null> = new Set(['job-busy', 'process-died']);

/** Does what the records of a control topic ask for. */
export class CommandHandler {
  readonly #options: CommandHandlerOptions;

  constructor(options: CommandHandlerOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the records that are to be committed together with the command's offset: its outcome, where the history
   * of graphs does not have it, or a dead letter. Null where the job ends before anything came of it. A command that an
   * earlier process has carried out is not carried out again. Rejects with errors of what the topic's format needs.
   */
  async handle(record: LogRecord, signal: AbortSignal): Promise<readonly TopicRecord[] | null> {
    const { value } = record;
    if (value === null) return [];
    const { job, onDeadLetter } = this.#options;
    const letters: DeadLetter[] = [];
    const bury = { put: async (letter: DeadLetter) => void letters.push(letter) };
    const command = await orDeadLetter(record, bury, async () => {
      const format = job().formats.of(record.topic);
      return readCommand(await format.read(value), format, value);
    });
    for (const letter of letters) onDeadLetter(letter);
    if (!command) return letters.map((letter) => ({ topic: DEAD_LETTER_TOPIC, ...deadLetterRecord(letter) }));
    if (command.job !== null && command.job !== job().folder.id) return [];
    const by = `${record.topic}/${record.partition}/${record.offset}`;
    return this.#carryOut(command, { by, request: command.id ?? by }, signal);
  }

  async #carryOut(
    command: ControlCommand,
    about: { readonly by: string; readonly request: string },
    signal: AbortSignal,
  ): Promise<readonly TopicRecord[] | null> {
    const { folder } = this.#options.job();
    if (isSettled(await graphVersions(folder), about.request)) return [];
    while (!signal.aborted && (await this.#options.whenFlowing())) {
      const { error, record } = await this.#attempt(command, about, folder);
      if (!isBusy(error)) {
        const { command: name } = command;
        if (error !== null) this.#options.onWarning(`${name} of ${about.by} came to nothing: ${reasonOf(error).note}`);
        return record ? [await this.#encoded(record)] : [];
      }
      await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
    return null;
  }

  async #attempt(
    command: ControlCommand,
    about: { readonly by: string; readonly request: string },
    folder: JobFolder,
  ): Promise<Omit<Attempt, 'deployed'>> {
    if (command.command === 'savepoint') return this.#save(about, folder);
    if (command.command === 'promote' || command.command === 'demote') return this.#seat(command, about, folder);
    const { discard, expectedVersion } = command;
    const request = { ...about, discard, ...(expectedVersion === null ? {} : { expectedVersion }) };
    if (command.command === 'rollback') {
      return this.#options.deployments.attemptRollback({ ...request, version: command.version });
    }
    try {
      const graph = graphDocument(parseGraph(command.graph, 'graph'));
      return await this.#options.deployments.attempt({ ...request, graph, how: 'deploy' });
    } catch (error) {
      return { error, record: refused(folder, about, 'deploy', error) };
    }
  }

  /** Promotes or demotes. */
  async #seat(
    command: ControlCommand & { readonly command: 'promote' | 'demote' },
    about: { readonly by: string; readonly request: string },
    folder: JobFolder,
  ): Promise<Omit<Attempt, 'deployed'>> {
    const { command: how } = command;
    try {
      const { promotion } = this.#options;
      if (!promotion) {
        throw new MillraceError('bad-usage', 'The graph does not say promote:, so each new snapshot speaks.');
      }
      const decided =
        how === 'promote' ? promotion.promote(command.version, about.request) : promotion.demote(about.request);
      const { champion } = await decided;
      const note = champion && `${champion.id} speaks, of step ${champion.step}.`;
      const outcome = how === 'promote' ? 'promoted' : 'demoted';
      return { error: null, record: requestRecord(folder.id, about.request, { ...about, how, outcome, note }) };
    } catch (error) {
      return { error, record: refused(folder, about, how, error) };
    }
  }

  async #save(
    about: { readonly by: string; readonly request: string },
    folder: JobFolder,
  ): Promise<Omit<Attempt, 'deployed'>> {
    try {
      if (!trainingStream(this.#options.job().graph)) {
        throw new MillraceError('bad-usage', 'The graph has no stream that trains, so there is nothing to save.');
      }
      const before = await savedFor(folder, about.request);
      if (before === null) await wantSavepoint(folder, about.request);
      const savepoint = before ?? (await this.#options.savepoint()).id;
      const record = requestRecord(folder.id, about.request, {
        ...about,
        how: 'savepoint',
        outcome: 'saved',
        savepoint,
      });
      return { error: null, record };
    } catch (error) {
      return { error, record: refused(folder, about, 'savepoint', error) };
    }
  }

  async #encoded(record: DeploymentRecord): Promise<TopicRecord> {
    const { topic } = this.#options;
    await topic.ready();
    return { topic: DEPLOYMENTS_TOPIC, ...(await topic.encoded(record)) };
  }
}

/** Whether an earlier process has come to an end with a request, good or bad. */
function isSettled(versions: readonly GraphVersion[], request: string): boolean {
  const tries = versions.filter((version) => version.request === request);
  const deaths = tries.filter(({ code }) => code === 'process-died').length;
  return deaths >= MOST_DEATHS || tries.some(({ outcome, code }) => outcome !== 'failed' || !INTERRUPTED.has(code));
}

function isBusy(error: unknown): boolean {
  return error instanceof MillraceError && error.code === 'job-busy';
}

function refused(
  { id }: JobFolder,
  about: { readonly by: string; readonly request: string },
  how: 'deploy' | 'savepoint' | 'promote' | 'demote',
  error: unknown,
): DeploymentRecord {
  return requestRecord(id, about.request, { ...about, how, outcome: 'refused', ...reasonOf(error) });
}
