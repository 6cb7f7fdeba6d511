import type { OperatorFunction } from 'rxjs';
import type { z } from 'zod';
import type { Element, Uid } from './flow.ts';
import type { Formats } from './formats.ts';
import type {
  AnswerBook,
  Assignments,
  CheckpointStore,
  Clock,
  DeadLetters,
  Ledger,
  Sampler,
  TopicLog,
  Trainer,
  Tokenizer,
} from './ports.ts';
import type { Json, Snapshot } from './types.ts';

/** What may flow between two operators of a graph. */
export type Payload =
  /** Whatever comes, and the same again. */
  | 'any'
  | 'topics'
  | 'record'
  | 'document'
  | 'tokenized-document'
  | 'token-batch'
  | 'step-report'
  | 'prompt'
  | 'tokenized-prompt'
  | 'token-delta'
  | 'text-delta';

/** What a graph's operators are given to work with. */
export interface Services {
  readonly jobId: string;
  /** Rises where a job's history is written anew from a cut: what it published behind that cut counts no more. */
  readonly lineage: number;
  readonly log: TopicLog;
  /** How the values of each topic are read and written. */
  readonly formats: Formats;
  readonly clock: Clock;
  readonly tokenizer: Tokenizer;
  readonly deadLetters: DeadLetters;
  readonly ledger: Ledger;
  readonly store: CheckpointStore;
  readonly trainer: Trainer;
  readonly sampler: Sampler;
  /** Null in a stream that does not commit answers. */
  readonly answers: AnswerBook | null;
  /** Shape of a batch, from the model. */
  readonly batch: { readonly rows: number; readonly context: number };
  /** The cut to go on from, or null for a job that starts anew. */
  readonly restore: { readonly states: ReadonlyMap<Uid, Snapshot> } | null;
  readonly maxSteps: number;
  /** Which partitions the stream reads, where it shares its topics with other jobs; null where it reads all of them. */
  readonly assignments: Assignments | null;
}

/**
 * One kind of operator as graphs know it. A setting is changed by building it anew over its state at a cut. Its schema is the one source of validation, lint and documentation; every
 * field of it has a description and a default, so that `{}` is a whole configuration.
 */
export interface OperatorKind {
  readonly kind: string;
  readonly summary: string;
  readonly input: Payload;
  readonly output: Payload;
  readonly config: z.ZodType;
  /** What it puts into a cut, in a few words; null for an operator without memory. */
  readonly state: string | null;
  /** Why the state of a cut can't go on under a configuration; null where it can. */
  refusalOf(state: Json, config: unknown, batch: Services['batch']): string | null;
  /** Topics that a configuration names, for lint to find those that are missing. */
  topicsOf(config: unknown): readonly string[];
  /** An operator from a configuration that `config` has parsed. */
  build(uid: Uid, config: unknown, services: Services): GraphOperator;
}

/** An operator whose types are known by its kind's `input` and `output` only. */
export type GraphOperator = OperatorFunction<never, unknown>;

interface KindDefinition<C extends z.ZodType> {
  readonly kind: string;
  readonly summary: string;
  readonly input: Payload;
  readonly output: Payload;
  readonly config: C;
  readonly state?: string;
  refusalOf?(state: Json, config: z.output<C>, batch: Services['batch']): string | null;
  topicsOf?(config: z.output<C>): readonly string[];
  build(uid: Uid, config: z.output<C>, services: Services): OperatorFunction<never, Element<unknown>>;
}

/** Declares a kind with a typed configuration. */
export function defineKind<C extends z.ZodType>(definition: KindDefinition<C>): OperatorKind {
  const { config, state = null } = definition;
  return {
    ...definition,
    state,
    refusalOf: (json, given, batch) => definition.refusalOf?.(json, config.parse(given), batch) ?? null,
    topicsOf: (json) => definition.topicsOf?.(config.parse(json)) ?? [],
    build: (uid, json, services) => definition.build(uid, config.parse(json), services),
  };
}
