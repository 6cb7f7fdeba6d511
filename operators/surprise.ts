import { defer } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Alert } from './alert.ts';
import { DocumentExams, documentsSchema } from './document-exams.ts';
import type { TokenBits } from './document-exams.ts';
import { Drift, driftStateSchema } from './drift.ts';
import type { DriftOptions } from './drift.ts';
import { isItem } from './flow.ts';
import type { Element, Uid } from './flow.ts';
import { plainFormat } from './formats.ts';
import type { TopicFormat } from './formats.ts';
import { inOrder } from './in-order.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { NumberedRecords, numberedStateSchema } from './numbered-records.ts';
import type { Tokenizer, TopicLog } from './ports.ts';
import { RecentValues } from './recent-values.ts';
import { readState } from './stateful.ts';
import { driftFinding, driftOptions, driftSchema, findingsOf, ruleSchema } from './surprise-rules.ts';
import type { Finding, RankedDocument, SurpriseRule } from './surprise-rules.ts';
import type { Coordinates, Json, NewRecord, StepReport } from './types.ts';

/** A document's record on topic `surprise`. */
export interface SurpriseRecord {
  readonly event: 'surprise';
  readonly at: Coordinates;
  readonly key: string | null;
  readonly timestampMs: number;
  /** Step whose exam its last token was in. */
  readonly step: number;
  readonly bytes: number;
  readonly bits: number;
  readonly bitsPerByte: number;
  /** Share of the documents of its topic before it that were less surprising, in percent; null for the first ones. */
  readonly percentile: number | null;
  /** Standard deviations above their mean. */
  readonly sigma: number | null;
  readonly tokens: readonly TokenBits[];
}

export interface SurpriseOptions {
  readonly uid: Uid;
  readonly jobId: string;
  /** Name that records carry of who wrote them; the uid if absent. */
  readonly publisher?: string;
  readonly log: TopicLog;
  readonly tokenizer: Tokenizer;
  readonly topic: string;
  readonly format?: TopicFormat;
  /** Documents of a topic that a rank looks back on. */
  readonly window: number;
  /** Tokens that are told of each document. */
  readonly tokens: number;
  readonly alerts: { readonly topic: string; readonly format?: TopicFormat };
  readonly rules: readonly SurpriseRule[];
  /** Alerts when a topic's bits per byte move; absent for never. */
  readonly drift?: DriftOptions | undefined;
}

const stateSchema = z.object({
  records: numberedStateSchema,
  alerts: numberedStateSchema.nullable(),
  begun: documentsSchema,
  windows: z.record(z.string(), z.array(z.number())),
  drifts: z.record(z.string(), driftStateSchema),
});

type SurpriseState = z.output<typeof stateSchema>;

/**
 * Says of each document how surprising it was, when the step is done that examined the last of it: a record with the bits per
 * byte that it took before it was learnt, where that ranks among the last documents of its topic, and the tokens that took
 * most. Passes the step on once the log has the records of its documents.
 *
 * Order: kept; documents as they ended. Records and alerts are published exactly once, as `NumberedRecords` has it. Documents
 * of which a part had no finite loss are left out. Backpressure: a step keeps its bytes until then. Errors: the log's end
 * the flow. Snapshot: documents that have begun (64 at most), the windows and drifts by topic, and how many records there are.
 */
export function surprise(options: SurpriseOptions): OperatorFunction<Element<StepReport>, Element<StepReport>> {
  return (flow) =>
    defer(() => {
      const watch = new SurpriseWatch(options);
      return flow.pipe(
        inOrder<StepReport, StepReport>(async (element) => {
          if (isItem(element)) await watch.take(element.value);
          if (element.kind === 'restore') {
            const snapshot = element.states.get(options.uid);
            const state = snapshot && readState(options.uid, () => stateSchema.parse(snapshot.state));
            await watch.restore(state ?? null, element);
          }
          if (element.kind === 'barrier') element.basket.set(options.uid, { state: await watch.snapshot() });
          return [element];
        }),
      );
    });
}

class SurpriseWatch {
  readonly #options: SurpriseOptions;
  readonly #records: NumberedRecords;
  /** Null where nothing can raise any. */
  readonly #alerts: NumberedRecords | null;
  #exams: DocumentExams;
  #windows = new Map<string, RecentValues>();
  #drifts = new Map<string, Drift>();

  constructor(options: SurpriseOptions) {
    const { uid, publisher = uid, log, topic, alerts, tokenizer, tokens } = options;
    this.#options = options;
    this.#records = new NumberedRecords({ log, topic, publisher });
    const writer = { log, topic: alerts.topic, publisher: `${publisher}/alerts` };
    this.#alerts = alertsOf(options) ? new NumberedRecords(writer) : null;
    this.#exams = new DocumentExams(tokenizer, tokens);
  }

  async take(report: StepReport): Promise<void> {
    const { exam, loss, step } = report;
    if (!exam) return;
    if (!Number.isFinite(loss)) {
      this.#exams.drop(exam);
      return;
    }
    const { jobId, uid, rules, format = plainFormat, alerts } = this.#options;
    const documents = this.#exams.take(exam).filter(({ bytes }) => bytes > 0);
    const ranked = documents.map((document) => this.#rank(document));
    const found = [...ranked.flatMap((document) => findingsOf(document, rules)), ...this.#driftsIn(report)];
    await this.#records.send(await Promise.all(ranked.map((document) => recordOf(document, step, format))));
    const raised = found.map((finding) => alertRecord({ ...finding, jobId, uid, step }, alerts.format ?? plainFormat));
    await this.#alerts?.send(await Promise.all(raised));
  }

  async restore(state: SurpriseState | null, mark: Parameters<NumberedRecords['restore']>[1]): Promise<void> {
    const { tokenizer, tokens, window, drift } = this.#options;
    this.#exams = new DocumentExams(tokenizer, tokens, state?.begun);
    const windows = Object.entries(state?.windows ?? {});
    this.#windows = new Map(windows.map(([topic, values]) => [topic, new RecentValues(window, values)]));
    const drifts = drift ? Object.entries(state?.drifts ?? {}) : [];
    this.#drifts = new Map(drift ? drifts.map(([topic, each]) => [topic, new Drift(drift, each)]) : []);
    await this.#records.restore(state?.records ?? null, mark);
    await this.#alerts?.restore(state?.alerts ?? null, mark);
  }

  async snapshot(): Promise<Json> {
    return {
      records: await this.#records.snapshot(),
      alerts: (await this.#alerts?.snapshot()) ?? null,
      begun: this.#exams.snapshot(),
      windows: Object.fromEntries([...this.#windows].map(([topic, window]) => [topic, window.snapshot()])),
      drifts: Object.fromEntries([...this.#drifts].map(([topic, drift]) => [topic, drift.snapshot()])),
    };
  }

  #rank(document: ReturnType<DocumentExams['take']>[number]): RankedDocument {
    const { topic } = document.at;
    const bitsPerByte = document.bits / document.bytes;
    const window = this.#windows.get(topic) ?? new RecentValues(this.#options.window);
    this.#windows.set(topic, window);
    const standing = window.standingOf(bitsPerByte);
    window.add(bitsPerByte);
    return { ...document, bitsPerByte, standing };
  }

  #driftsIn({ sources = {}, timestampMs }: StepReport): readonly Finding[] {
    const { drift: options } = this.#options;
    if (!options) return [];
    return Object.entries(sources).flatMap(([topic, { bytes, bits }]) => {
      const drift = this.#drifts.get(topic) ?? new Drift(options);
      this.#drifts.set(topic, drift);
      return driftFinding(topic, drift, { bytes, bits, timestampMs }) ?? [];
    });
  }
}

function alertsOf({ rules, drift }: Pick<SurpriseOptions, 'rules'> & { readonly drift?: unknown }): boolean {
  return rules.length > 0 || drift !== undefined;
}

async function recordOf(
  { at, key, timestampMs, bytes, bits, bitsPerByte, standing, tokens }: RankedDocument,
  step: number,
  format: TopicFormat,
): Promise<NewRecord> {
  const { percentile, sigma } = standing ?? { percentile: null, sigma: null };
  const figures = { step, bytes, bits, bitsPerByte, percentile, sigma };
  const record: SurpriseRecord = { event: 'surprise', at, key, timestampMs, ...figures, tokens };
  return { key: key ?? `${at.topic}/${at.partition}@${at.offset}`, value: await format.write({ ...record }) };
}

async function alertRecord(
  { jobId, uid, step, ...finding }: Finding & { readonly jobId: string; readonly uid: Uid; readonly step: number },
  format: TopicFormat,
): Promise<NewRecord> {
  const id = `${jobId}/${uid}/${finding.rule}/${finding.subject}`;
  const alert: Alert = { event: 'alert', id, job: jobId, ...finding, step };
  return { key: id, value: await format.write({ ...alert }) };
}

export const surpriseKind: OperatorKind = defineKind({
  kind: 'surprise',
  summary:
    "Says of each document, once it was examined, how many bits per byte it took, where that ranks among its topic's, and which tokens took most; and alerts by rules. Passes steps on.",
  input: 'step-report',
  output: 'step-report',
  state: 'documents that have begun, the last bits per byte of each topic, and how many records it has published',
  config: z.strictObject({
    topic: z.string().min(1).describe('Topic that gets a record for each document.'),
    window: z
      .int()
      .min(10)
      .max(100_000)
      .default(1000)
      .describe('Documents of a topic that ranks look back on; there are none for the first 100.'),
    tokens: z
      .int()
      .min(0)
      .max(32)
      .default(5)
      .describe('Tokens that are told of each document: those that took most bits.'),
    alerts: z.string().min(1).default('alerts').describe('Topic of alerts, where rules or drift are given.'),
    rules: z
      .array(ruleSchema)
      .default([])
      .describe(
        'Documents to alert of: each rule has a name and at least one of bitsPerByte, percentile (0 to 100) and sigma, all of which must be reached; topic and minBytes (of the document) narrow it.',
      ),
    drift: driftSchema
      .optional()
      .describe(
        "Alerts when a topic's bits per byte move, and when that is over. {} for blocks of 16KB (block), judged by the last 64 (reference), a sum of 8 σ (threshold) upward (direction: up or both).",
      ),
  }),
  topicsOf: (config) => [config.topic, ...(alertsOf(config) ? [config.alerts] : [])],
  // Where topics ended says nothing in another log, and neither do the documents that have begun.
  forked: (_uid, snapshot, keepsOffsets) => (keepsOffsets ? snapshot : null),
  build: (uid, { alerts, drift, ...config }, { jobId, lineage, log, formats, tokenizer }) =>
    surprise({
      uid,
      jobId,
      publisher: lineage === 0 ? `${jobId}/${uid}` : `${jobId}/${uid}@${lineage}`,
      log,
      tokenizer,
      format: formats.of(config.topic),
      alerts: { topic: alerts, format: formats.of(alerts) },
      ...config,
      drift: drift && driftOptions(drift),
    }),
});
