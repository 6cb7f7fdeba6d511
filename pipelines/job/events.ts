import type { EngineSettings } from '../../model/settings.ts';
import type { StepFault } from '../../model/types.ts';
import type { AnswerUsage, Counts, CutReason, FinishReason, Freshness, WeightsVersion } from '../../operators/index.ts';
import type { Evaluation } from '../evaluation/evaluation.ts';
import type { Results } from '../promotion/judge.ts';
import type { Verdict } from '../promotion/promotion-state.ts';
import type { Plan } from '../redeploy/plan.ts';

/**
 * What `millrace up --json` prints, one object a line. Fields are only ever added; README describes each.
 */
export type JobEvent =
  | PlanEvent
  | ReadyEvent
  | ListeningEvent
  | StepEvent
  | LagEvent
  | CountsEvent
  | CheckpointEvent
  | GenerationEvent
  | FreshnessEvent
  | WeightsEvent
  | PromotionEvent
  | Evaluation
  | DeadLetterEvent
  | DeploymentEvent
  | OutageEvent
  | SummaryEvent;

/** The job was given another graph than it had: what becomes of each operator. */
export interface PlanEvent {
  readonly event: 'plan';
  readonly plan: Plan;
}

export interface ReadyEvent {
  readonly event: 'ready';
  readonly job: string;
  readonly graph: string;
  readonly preset: string;
  readonly parameters: number;
  readonly dataDir: string;
  readonly engine: EngineSettings;
  /** Step that the job goes on from; 0 for a new one. */
  readonly step: number;
}

/** The model may be asked over HTTP. */
export interface ListeningEvent {
  readonly event: 'listening';
  readonly url: string;
  /** Its name there. */
  readonly model: string;
}

export interface StepEvent {
  readonly event: 'step';
  readonly step: number;
  /** Mean cross-entropy of the step's batch before its update, in nats per token; null when it was not finite. */
  readonly loss: number | null;
  readonly bitsPerByte: number | null;
  /** Prequential bits per byte since the job's start. */
  readonly bitsPerByteTotal: number | null;
  /** Over the last seconds. */
  readonly tokensPerSecond: number;
  /** Of this step. */
  readonly tokens: number;
  readonly bytes: number;
  readonly lr: number;
  readonly gradNorm: number | null;
  /** Records of the partitions that are read which no step has seen yet. */
  readonly lag: number;
  readonly skipped: boolean;
  /** Why; null where the step was taken. */
  readonly fault: StepFault | null;
  /** 2 where a batch is tried once more. */
  readonly attempt: 1 | 2;
  /** Present when the step was of rows that were trained on before: then it stands for no bytes. */
  readonly replayed?: { readonly rows: number; readonly loss: number | null };
  /** By topic, of those that steps of this run had text of; only where there are several. */
  readonly sources?: Readonly<Record<string, SourceBits>>;
}

/** Prequential bits per byte of one topic's text. */
export interface SourceBits {
  /** Over its last 100 steps. */
  readonly bitsPerByte: number | null;
  /** Since the job's start. */
  readonly bitsPerByteTotal: number | null;
  readonly bytesTotal: number;
}

/** Where each partition that is read stands. Told when it has changed, once a second at most. */
export interface LagEvent {
  readonly event: 'lag';
  /** Over all partitions. */
  readonly lag: number;
  readonly partitions: readonly PartitionLag[];
}

export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  /** The next offset that no step has seen. */
  readonly offset: number;
  /** Where the partition ends. */
  readonly end: number;
  readonly lag: number;
}

/**
 * What operators have done with the data in the job's life: by uid, by what it was, and by why or to what. Told when it has
 * changed, as often as the source tells the time.
 */
export interface CountsEvent {
  readonly event: 'counts';
  readonly counts: Counts;
}

export interface CheckpointEvent {
  readonly event: 'checkpoint';
  readonly id: string;
  readonly reason: CutReason;
  readonly step: number;
  readonly bytes: number;
  readonly durationMs: number;
  readonly path: string;
}

export interface GenerationEvent {
  readonly event: 'generation';
  readonly id: string;
  readonly prompt: string | null;
  readonly text: string;
  readonly finish: FinishReason;
  readonly weights: WeightsVersion;
  readonly usage?: AnswerUsage;
  readonly freshness?: Freshness;
}

/** Weights of this run have spoken their first token. */
export interface FreshnessEvent extends Freshness {
  readonly event: 'freshness';
  readonly weights: WeightsVersion;
}

/** Weights do not speak, and the ones before them go on. */
export interface WeightsEvent {
  readonly event: 'weights';
  readonly outcome: 'refused';
  readonly weights: WeightsVersion;
  /** One of README's codes, where the fault has one. */
  readonly code: string | null;
  readonly reason: string;
}

/** It was decided whether a snapshot speaks. */
export interface PromotionEvent {
  readonly event: 'promotion';
  readonly verdict: Verdict;
  readonly by: 'rule' | 'hand';
  readonly snapshot: WeightsVersion;
  /** Who speaks from now on. */
  readonly champion: WeightsVersion | null;
  readonly reasons: readonly string[];
  readonly results: Results | null;
}

export interface DeadLetterEvent {
  readonly event: 'deadletter';
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly code: string;
  readonly message: string;
}

/** A stream of the graph was started, or started again after a fault. */
export interface DeploymentEvent {
  readonly event: 'deployment';
  readonly stream: string;
  readonly outcome: 'started' | 'restarted' | 'deployed' | 'watching' | 'stable' | 'rolled-back';
  /** Why it was started again, or gone back from. */
  readonly reason?: string;
  /** Of the graph that was deployed. */
  readonly version?: number;
  /** From the last step of the graph before to the first of this one; null where nothing had to wait. */
  readonly pauseMs?: number | null;
  /** For how long it is to be watched yet. */
  readonly watchMs?: number;
}

/** No broker answers, which is borne for a while; or one does again. */
export type OutageEvent =
  | {
      readonly event: 'outage';
      readonly state: 'waiting';
      readonly reason: string;
      /** How long it will be waited for, from the outage's beginning on. */
      readonly patienceMs: number;
    }
  | { readonly event: 'outage'; readonly state: 'over'; readonly lastedMs: number };

export interface SummaryEvent {
  readonly event: 'summary';
  readonly reason: 'interrupted' | 'idle' | 'max-steps';
  readonly step: number;
  /** Of this run. */
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Of the whole job. */
  readonly bitsPerByteTotal: number | null;
  readonly bytesTotal: number;
  /** As with steps. */
  readonly sources?: Readonly<Record<string, SourceBits>>;
  readonly checkpoint: string | null;
  /** Of the partitions that were read last. */
  readonly lag: number;
  readonly partitions: readonly PartitionLag[];
  /** Of the whole job, as last told; null where no operator counts. */
  readonly counts: Counts | null;
}
