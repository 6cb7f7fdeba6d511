import { basename, join } from 'node:path';
import { loadTokenizer } from '../../model/tokenizer/tokenizer.ts';
import { readManifest } from '../../infra/index.ts';
import type { Manifest } from '../../infra/index.ts';
import { evaluateConfigSchema, isDueIn } from '../../operators/evaluate.ts';
import type { EvaluateConfig } from '../../operators/evaluate.ts';
import { checkpointIds, trainedIn } from '../job/saved-checkpoints.ts';
import type { OpenJob } from '../job/open-job.ts';
import type { JobEvent } from '../job/events.ts';
import { trainingStream } from '../spec/streams.ts';
import type { Step } from '../spec/graph.ts';
import { NumberedRecords } from '../topics/numbered-records.ts';
import { answersTo } from './evaluation.ts';
import type { Evaluation, NamedText } from './evaluation.ts';
import { evaluationRecord } from './evaluation-topic.ts';
import type { ExamRoom } from './exam-room.ts';
import { heldOutOf } from './held-out.ts';
import { readChoices, readCloze } from './read-choices.ts';
import type { ChoiceSet } from './read-choices.ts';
import { configIn, pickWeights } from './saved-weights.ts';
import { scoredAtOnce } from './scorer.ts';

/** What of a job it needs. */
export type EvaluatingJob = Pick<OpenJob, 'folder' | 'graph' | 'log' | 'formats'>;

export interface EvaluationsOptions {
  readonly job: EvaluatingJob;
  readonly room: ExamRoom;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
}

/** What exams a graph asks for, in the operator `evaluate`. */
interface Plan {
  readonly step: Step;
  readonly config: EvaluateConfig;
  readonly choices: readonly ChoiceSet[];
  texts(signal: AbortSignal): Promise<readonly NamedText[]>;
}

/** A checkpoint that is due. */
interface Due {
  readonly job: EvaluatingJob;
  readonly path: string;
  readonly manifest: Manifest;
}

/**
 * Examines the checkpoints that operator `evaluate` says are due, beside the training and one at a time. Each gets one record,
 * however often the process dies: the number of the checkpoint is the record's. Where they come faster than exams, the newest is
 * next, and those between get none; one that is under way when the job ends is examined at its next start.
 */
export class Evaluations {
  readonly #options: EvaluationsOptions;
  readonly #closing = new AbortController();
  #plan: Plan | null = null;
  #records: { readonly topic: string; readonly numbered: NumberedRecords } | null = null;
  #waiting: Due | null = null;
  #looking: Promise<void> = Promise.resolve();
  #working: Promise<void> | null = null;

  /** Rejects with `config-invalid` for files that can't be read. What is still due of the job is examined. */
  static async start(options: EvaluationsOptions): Promise<Evaluations> {
    const evaluations = new Evaluations(options);
    await evaluations.#recover();
    return evaluations;
  }

  private constructor(options: EvaluationsOptions) {
    this.#options = options;
  }

  /** A checkpoint has been stored, by a job under the graph that it has now. */
  offer(job: EvaluatingJob, path: string): void {
    this.#looking = this.#looking
      .then(async () => {
        const due = await this.#dueAt(job, path);
        if (due) this.#take(due);
      })
      .catch((error: unknown) => this.#warn(path, error));
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#options.room.close();
    await this.#looking;
    await this.#working;
    await this.#records?.numbered.close();
  }

  async #recover(): Promise<void> {
    const { job } = this.#options;
    if (!this.#planOf(job)) return;
    for (const id of (await checkpointIds(job.folder)).toReversed()) {
      const path = join(job.folder.checkpoints, id);
      // One that is damaged is told of when the job goes on.
      const due = await this.#dueAt(job, path).catch(() => null);
      if (due) return this.#take(due);
    }
  }

  async #dueAt(job: EvaluatingJob, path: string): Promise<Due | null> {
    const uid = evaluateStep(job)?.uid;
    if (uid === undefined) return null;
    const manifest = await readManifest(path);
    return isDueIn(manifest.states[uid]?.state) ? { job, path, manifest } : null;
  }

  #take(due: Due): void {
    this.#waiting = due;
    this.#working ??= this.#work().finally(() => (this.#working = null));
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting; next && !this.#closing.signal.aborted; next = this.#waiting) {
      this.#waiting = null;
      try {
        await this.#settle(next);
      } catch (error) {
        this.#warn(next.path, error);
      }
    }
  }

  async #settle({ job, path, manifest }: Due): Promise<void> {
    const plan = this.#planOf(job);
    const number = Number.parseInt(basename(path), 10);
    if (!plan) return;
    const records = await this.#recordsOf(job, plan.config.topic);
    if (number < (await records.opened())) return;
    const evaluation = await this.#examined(job, plan, path, manifest);
    await records.write(number, await evaluationRecord(evaluation, job.formats, plan.config.topic));
    this.#options.onEvent(evaluation);
  }

  async #examined({ folder, graph }: EvaluatingJob, plan: Plan, path: string, manifest: Manifest): Promise<Evaluation> {
    const size = scoredAtOnce(configIn(manifest.describe, manifest.id).maxContext);
    // Beside the training each token is read once.
    const stride = size - 1;
    const tokenizer = loadTokenizer(join(path, 'tokenizer.json'));
    const picked = await pickWeights({ checkpoint: { path }, graph }, plan.config.weights, 1);
    const { id } = manifest;
    const step = trainedIn(manifest)?.step ?? 0;
    const texts = await plan.texts(this.#closing.signal);
    const { choices } = plan;
    const answers = await this.#options.room.hold({ id, step, path: picked.path }, ({ score }) =>
      answersTo({ texts, choices }, { score, tokenizer, size, stride }),
    );
    const weights = { id, step, which: picked.which, merged: picked.of };
    const about = { event: 'evaluation', job: folder.id, timestampMs: Date.now(), by: 'graph' } as const;
    return { ...about, weights, window: size, stride, ...answers };
  }

  /** What the graph asks for; files are read when it is first asked for it. */
  #planOf(job: EvaluatingJob): Plan | null {
    const step = evaluateStep(job);
    if (!step || step === this.#plan?.step) return step ? this.#plan : null;
    const config = evaluateConfigSchema.parse(step.config);
    const heldOut = config.heldOut.map((spec) => ({
      name: 'file' in spec ? spec.file : spec.topic,
      read: heldOutOf(spec, { ...job, where: `"${step.uid}"` }),
    }));
    const cloze = readCloze(config.cloze);
    const choices = [
      ...(cloze.items.length > 0 ? [cloze] : []),
      ...config.choices.map((path) => readChoices(path, 'auto')),
    ];
    const texts: Plan['texts'] = async (signal) => {
      const all: NamedText[] = [];
      for (const { name, read } of heldOut) all.push({ name, texts: (await read(signal)).map(({ text }) => text) });
      return all.filter((each) => each.texts.length > 0);
    };
    this.#plan = { step, config, choices, texts };
    return this.#plan;
  }

  async #recordsOf({ folder, log }: EvaluatingJob, topic: string): Promise<NumberedRecords> {
    if (this.#records?.topic === topic) return this.#records.numbered;
    await this.#records?.numbered.close();
    await log.createTopic(topic);
    const numbered = new NumberedRecords({ log, name: `${folder.id}/evaluations`, topic });
    this.#records = { topic, numbered };
    return numbered;
  }

  #warn(path: string, error: unknown): void {
    if (this.#closing.signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.onWarning(`Checkpoint ${basename(path)} could not be examined: ${reason}`);
  }
}

function evaluateStep({ graph }: Pick<EvaluatingJob, 'graph'>): Step | undefined {
  const [, steps = []] = trainingStream(graph) ?? [];
  return steps.find(({ kind }) => kind.kind === 'evaluate');
}
