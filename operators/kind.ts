import type { OperatorFunction } from 'rxjs';
import type { z } from 'zod';
import type { Element, Uid } from './flow.ts';
import type { Formats } from './formats.ts';
import type {
  AnswerBook,
  CheckpointStore,
  Clock,
  DeadLetters,
  Ledger,
  Sampler,
  TopicLog,
  Trainer,
  Tokenizer,
} from './ports.ts';
import type { Snapshot } from './types.ts';

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
}

/**
 * One kind of operator as graphs know it. Its schema is the one source of validation, lint and documentation; every
 * field of it has a description and a default, so that `{}` is a whole configuration.
 */
export interface OperatorKind {
  readonly kind: string;
  readonly summary: string;
  readonly input: Payload;
  readonly output: Payload;
  readonly config: z.ZodType;
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
  topicsOf?(config: z.output<C>): readonly string[];
  build(uid: Uid, config: z.output<C>, services: Services): OperatorFunction<never, Element<unknown>>;
}

/** Declares a kind with a typed configuration. */
export function defineKind<C extends z.ZodType>(definition: KindDefinition<C>): OperatorKind {
  const { config } = definition;
  return {
    ...definition,
    topicsOf: (json) => definition.topicsOf?.(config.parse(json)) ?? [],
    build: (uid, json, services) => definition.build(uid, config.parse(json), services),
  };
}
