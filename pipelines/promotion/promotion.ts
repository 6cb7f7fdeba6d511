import { join } from 'node:path';
import type { Webhook } from '../../infra/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { DeadLetters, WeightsFile, WeightsVersion } from '../../operators/index.ts';
import type { ExamRoom } from '../evaluation/exam-room.ts';
import { heldOutOf } from '../evaluation/held-out.ts';
import type { HeldOut } from '../evaluation/held-out.ts';
import { readCloze } from '../evaluation/read-choices.ts';
import type { JobEvent } from '../job/events.ts';
import type { OpenJob } from '../job/open-job.ts';
import { inspectCheckpoint } from '../job/saved-checkpoints.ts';
import { spokenWeights } from '../job/spoken-weights.ts';
import { isOfVocabulary } from '../job/vocabulary.ts';
import type { Voice } from '../job/voice.ts';
import { webhookOf } from '../job/webhook-of.ts';
import type { PromoteSpec } from '../spec/promote.ts';
import { Announcer } from './announcer.ts';
import { Examiner } from './examiner.ts';
import type { Exam } from './examiner.ts';
import { demotedByHand, onlyOf, promotedByHand } from './by-hand.ts';
import { demoted, settled, skipped } from './promotion-state.ts';
import type { Decision, PromotionState } from './promotion-state.ts';
import { snapshotNamed, snapshotsBetween } from './snapshots.ts';

/** What of a job it needs. */
export type PromotingJob = Pick<
  OpenJob,
  'folder' | 'graph' | 'champions' | 'log' | 'formats' | 'tokenizer' | 'tokenizerFile'
> & {
  readonly settings: { readonly model: Pick<ModelConfig, 'maxContext'> };
};

export interface PromotionOptions {
  readonly job: PromotingJob;
  readonly promote: PromoteSpec;
  readonly voice: Pick<Voice, 'offer' | 'prompts'>;
  readonly deadLetters: DeadLetters;
  readonly room: ExamRoom;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
}

const OTHER_TOKENS = 'it knows the tokens of the vocabulary before';

/**
 * Decides which snapshots of a job speak. Each new one is examined beside the training, in a process of its own, one at a
 * time; where they come faster than that, the newest is next, and those between are skipped. The champion speaks until another
 * is promoted, also after a restart.
 */
export class Promotion {
  readonly #options: PromotionOptions;
  readonly #examiner: Examiner;
  readonly #heldOut: HeldOut;
  readonly #announcer: Announcer;
  readonly #closing = new AbortController();
  #waiting: readonly WeightsVersion[] = [];
  /** Whose checkpoints are being looked at. */
  readonly #looking = new Set<WeightsVersion>();
  #isWorking = false;
  #working: Promise<void> = Promise.resolve();
  #spoken: string | null = null;

  /** Rejects with `config-invalid` for files and secrets that are not there. */
  static async start(options: PromotionOptions): Promise<Promotion> {
    const promotion = new Promotion(options, webhookOf('promote', options.promote.webhook));
    await promotion.#recover();
    return promotion;
  }

  private constructor(options: PromotionOptions, webhook: Webhook | null) {
    const { job, promote, room, deadLetters, onWarning } = options;
    const { tokenizer, settings, graph, log, formats, champions } = job;
    this.#options = options;
    this.#heldOut = heldOutOf(promote.heldOut, { where: 'promote.heldOut', graph, log, formats });
    const { items: cloze } = readCloze(promote.cloze);
    this.#examiner = new Examiner({ room, tokenizer, maxContext: settings.model.maxContext, cloze });
    const { topic } = promote;
    const jobId = job.folder.id;
    this.#announcer = new Announcer({ jobId, log, formats, topic, champions, webhook, deadLetters, onWarning });
  }

  /** A new snapshot, or one that the job goes on from. */
  offer({ path: _path, ...weights }: WeightsFile): void {
    const { id } = weights;
    if (isDecided(this.#state, id) || this.#waiting.some((each) => each.id === id)) return;
    this.#waiting = [...this.#waiting, weights];
    this.#holdCandidates();
    if (!this.#isWorking) this.#working = this.#work();
  }

  /**
   * Lets a snapshot speak at somebody's command, if it can. Of commands under one request only the first is carried out.
   * Rejects with `bad-usage`, or with what is wrong with the snapshot.
   */
  async promote(version: string | null, request?: string): Promise<Decision> {
    const known = this.#decisionOf(request);
    if (known) return known;
    const { job } = this.#options;
    const snapshot = await snapshotNamed(job.folder, version);
    await this.#requireTokens(snapshot);
    const { results, problem } = await this.#lookAt(snapshot, async () => {
      return this.#examiner.examine(this.#fileOf(snapshot), await this.#heldOut(this.#closing.signal), []);
    });
    if (problem !== null) throw new MillraceError('weights-corrupt', `Snapshot ${snapshot.id} can't speak: ${problem}`);
    return this.#decideByHand((state) => promotedByHand(state, snapshot, { results, request }));
  }

  /** Takes the champion's place away, as `promote` gives it. Rejects with `bad-usage` where nobody can take it. */
  async demote(request?: string): Promise<Decision> {
    const known = this.#decisionOf(request);
    if (known) return known;
    const successor = this.#state.line.at(-1);
    if (successor) await this.#requireTokens(successor);
    return this.#decideByHand((state) => {
      if (state.line.at(-1)?.id === successor?.id) return demotedByHand(state, { request });
      throw new MillraceError('job-busy', 'Another decision came between. Look at millrace models, and ask again.');
    });
  }

  /** Breaks off what is under way; a snapshot that has no decision yet is examined at the next start, if it is the newest. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#options.room.close();
    await this.#working;
    await this.#announcer.close();
  }

  get #state(): PromotionState {
    return this.#options.job.champions.state;
  }

  /** Where the champion's checkpoint is lost, the one before speaks. What was not told of before is told now. */
  async #recover(): Promise<void> {
    const { job, promote } = this.#options;
    const { champions } = job;
    const lost: Decision[] = [];
    for (let { champion } = this.#state; champion; { champion } = this.#state) {
      const saved = await inspectCheckpoint(job.folder, champion.id, true);
      const isIntact = saved?.condition === 'intact';
      if (isIntact && (await isOfVocabulary(saved, job.tokenizerFile))) break;
      const reasons = [isIntact ? OTHER_TOKENS : (saved?.problem ?? 'its checkpoint is gone')];
      lost.push(...(await champions.change((state) => demoted(state, { by: 'rule', reasons }, Date.now()))));
    }
    await champions.change((state) => withWebhook(state, promote.webhook !== undefined));
    this.#tell(lost);
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let next = this.#next; next; next = this.#next) {
      const isDone = await this.#settle(next);
      // Whatever came meanwhile is tried; else the next snapshot begins anew.
      if (!isDone && this.#next === next) break;
    }
    this.#isWorking = false;
  }

  /** The newest that waits; those before it are skipped. */
  get #next(): WeightsVersion | undefined {
    return this.#closing.signal.aborted ? undefined : this.#waiting.at(-1);
  }

  /** Whether a candidate could be examined. */
  async #settle(candidate: WeightsVersion): Promise<boolean> {
    try {
      await this.#lookAt(candidate, () => this.#decide(candidate));
      this.#waiting = this.#waiting.filter(({ id }) => !isDecided(this.#state, id));
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#closing.signal.aborted) {
        this.#options.onWarning(
          `Snapshot ${candidate.id} could not be examined, and waits for the next one: ${reason}`,
        );
      }
      return false;
    }
  }

  async #decide(candidate: WeightsVersion): Promise<void> {
    const { job, promote, voice } = this.#options;
    const { champion, line, decidedTo } = this.#state;
    const predecessor = line.at(-1) ?? null;
    const texts = await this.#heldOut(this.#closing.signal);
    const resultsOf = async (rival: WeightsVersion | null): Promise<Exam['results']> =>
      rival && (await this.#examiner.examine(this.#fileOf(rival), texts, [])).results;
    const rivals = { predecessor: await resultsOf(predecessor), champion: await resultsOf(champion) };
    const prompts = voice.prompts.last(promote.prompts);
    const exam = await this.#examiner.examine(this.#fileOf(candidate), texts, prompts);
    const between = decidedTo === null ? [] : await snapshotsBetween(job.folder, decidedTo, candidate.id);
    const decisions = await job.champions.change((state) => {
      // Somebody's command came between: it is looked at again.
      if (state.champion?.id !== champion?.id || isDecided(state, candidate.id)) return state;
      const overtaken = skipped(state, this.#overtaken(between, candidate), Date.now());
      return settled(overtaken, { candidate, ...exam, ...rivals }, promote, Date.now());
    });
    this.#tell(decisions);
  }

  /** Those that have waited, and those that an earlier life of the job has made. */
  #overtaken(between: readonly WeightsVersion[], { id }: WeightsVersion): readonly WeightsVersion[] {
    const known = new Map([...between, ...this.#waiting].map((each) => [each.id, each]));
    return [...known.values()].filter((each) => each.id < id).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  #decisionOf(request: string | undefined): Decision | undefined {
    return request === undefined ? undefined : this.#state.decisions.find((each) => each.request === request);
  }

  /** Rejects with `bad-usage` for a snapshot that would not understand what it is asked. */
  async #requireTokens({ id }: WeightsVersion): Promise<void> {
    const { folder, tokenizerFile } = this.#options.job;
    if (await isOfVocabulary({ path: join(folder.checkpoints, id) }, tokenizerFile)) return;
    throw new MillraceError(
      'bad-usage',
      `Snapshot ${id} can't speak any more: ${OTHER_TOKENS}. Promote another; millrace models shows those that there are.`,
    );
  }

  async #lookAt<T>(snapshot: WeightsVersion, look: () => Promise<T>): Promise<T> {
    this.#looking.add(snapshot);
    this.#holdCandidates();
    try {
      return await look();
    } finally {
      this.#looking.delete(snapshot);
      this.#holdCandidates();
    }
  }

  async #decideByHand(transition: (state: PromotionState) => PromotionState): Promise<Decision> {
    const decisions = await this.#options.job.champions.change(transition);
    this.#tell(decisions);
    return onlyOf(decisions);
  }

  #tell(decisions: readonly Decision[]): void {
    this.#speak();
    const { onEvent } = this.#options;
    for (const { verdict, by, snapshot, champion, reasons, results } of decisions) {
      onEvent({ event: 'promotion', verdict, by, snapshot, champion, reasons, results });
    }
    const { champion, line } = this.#state;
    this.#examiner.forgetAllBut(new Set([champion, ...line].flatMap((each) => (each ? [each.id] : []))));
    this.#announcer.nudge();
  }

  #speak(): void {
    const { champion } = this.#state;
    if (!champion || champion.id === this.#spoken) return;
    this.#spoken = champion.id;
    this.#options.voice.offer(this.#fileOf(champion));
  }

  /** Of those that wait, only the newest is sure to be examined. */
  #holdCandidates(): void {
    this.#options.job.champions.hold([...this.#looking, ...this.#waiting.slice(-1)]);
  }

  #fileOf(weights: WeightsVersion): WeightsFile {
    const { folder, graph } = this.#options.job;
    return { ...weights, path: spokenWeights(join(folder.checkpoints, weights.id), graph.model) };
  }
}

/** Whether a snapshot needs no decision any more. */
function isDecided({ decidedTo }: PromotionState, id: string): boolean {
  return decidedTo !== null && id <= decidedTo;
}

function withWebhook(state: PromotionState, hasWebhook: boolean): PromotionState {
  const toTell = hasWebhook ? (state.toTell ?? state.sequence) : null;
  return toTell === state.toTell ? state : { ...state, toTell };
}
