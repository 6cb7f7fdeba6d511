import type { OperatorFunction } from 'rxjs';
import type { z } from 'zod';
import type { Respelling } from '../model/tokenizer/respelling.ts';
import type { Element, Uid } from './flow.ts';
import type { Formats } from './formats.ts';
import type {
  AnswerBook,
  Assignments,
  CheckpointStore,
  Clock,
  DeadLetters,
  Ledger,
  Position,
  Sampler,
  TopicLog,
  Trainer,
  Tokenizer,
} from './ports.ts';
import type { Json, Snapshot } from './types.ts';

/** What may flow between two operators of a graph; `any` is whatever comes, and the same again. */
export type Payload = (typeof payloads)[number];

export const payloads = [
  'any',
  'topics',
  'record',
  'document',
  'tokenized-document',
  'token-batch',
  'step-report',
  'prompt',
  'tokenized-prompt',
  'token-delta',
  'text-delta',
] as const;

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
  /** Where topics that are read from `latest` begin; their ends by the time they are read, where absent. */
  readonly ends?: readonly Position[];
  readonly maxSteps: number;
  /** Which partitions the stream reads, where it shares its topics with other jobs; null where it reads all of them. */
  readonly assignments: Assignments | null;
  /** Newer configurations than operators of this stream were built with, for kinds that are told. */
  readonly told?: ReadonlyMap<Uid, unknown>;
}

/**
 * One kind of operator as graphs know it. A setting is changed by building it anew over its state at a cut, unless the kind
 * is told. Its schema is the one source of validation, lint and documentation; every field of it has a description and a
 * default, so that `{}` is a whole configuration.
 */
export interface OperatorKind {
  readonly kind: string;
  readonly summary: string;
  readonly input: Payload;
  readonly output: Payload;
  readonly config: z.ZodType;
  /** What it puts into a cut, in a few words; null for an operator without memory. */
  readonly state: string | null;
  /** Whether an operator that runs takes another configuration from `Services.told`, in place of being built anew. */
  readonly isTold: boolean;
  /** Identifies the code of a kind that is not Millrace's own; null for those that are. */
  readonly code: string | null;
  /** Why the state of a cut can't go on under a configuration; null where it can. */
  refusalOf(state: Json, config: unknown, batch: Services['batch']): string | null;
  /** What becomes of the state of a cut under another configuration or model; null where all of it goes on as it is. */
  migrationOf(change: StateChange<unknown>): Migration | null;
  /** Its state in the tokens of another vocabulary; the same where it holds none. */
  respelled(snapshot: Snapshot, respelling: Respelling, config: unknown, batch: Services['batch']): Snapshot;
  /** What of its state a job of its own begins with, from a savepoint of another job; null where it begins empty. */
  forked(uid: Uid, snapshot: Snapshot, keepsOffsets: boolean): Snapshot | null;
  /** Of a source: where it goes on. Offsets belong to its uid and to their topics. */
  positionsIn(uid: Uid, snapshot: Snapshot): readonly Position[];
  /** Topics that a configuration names, for lint to find those that are missing. */
  topicsOf(config: unknown): readonly string[];
  /** An operator from a configuration that `config` has parsed. */
  build(uid: Uid, config: unknown, services: Services): GraphOperator;
}

/** A state of a cut that another configuration, or another size of model, is to take over. */
export interface StateChange<C> {
  readonly uid: Uid;
  readonly snapshot: Snapshot;
  readonly from: C;
  readonly to: C;
  /** What becomes of the model's weights; null where its size stays. */
  readonly model: Pick<Migration, 'does' | 'refused'> | null;
  /** Whether the job's tokens are those of another vocabulary. */
  readonly hasOtherTokens: boolean;
}

/** A state goes on in another form, or only a part of it does. */
export interface Migration {
  /** What becomes of the state, such as `kept for the topics that stay`. */
  readonly does: string;
  /** Why it can't be done; null where it can. */
  readonly refused: string | null;
  /** Parts that end, which must be agreed to by `--discard UID.PART`. */
  readonly loses: readonly { readonly part: string; readonly what: string }[];
}

/** Of a state that holds tokens, where those become others. */
export const SPELLED_ANEW: Migration = { does: 'spelled in the new vocabulary', refused: null, loses: [] };

/** An operator whose types are known by its kind's `input` and `output` only. */
export type GraphOperator = OperatorFunction<never, unknown>;

interface KindDefinition<C extends z.ZodType> {
  readonly kind: string;
  readonly summary: string;
  readonly input: Payload;
  readonly output: Payload;
  readonly config: C;
  readonly state?: string;
  readonly isTold?: boolean;
  refusalOf?(state: Json, config: z.output<C>, batch: Services['batch']): string | null;
  migrationOf?(change: StateChange<z.output<C>>): Migration | null;
  respelled?(snapshot: Snapshot, respelling: Respelling, config: z.output<C>, batch: Services['batch']): Snapshot;
  /** All of its state, as it is, where this is not defined. */
  forked?(uid: Uid, snapshot: Snapshot, keepsOffsets: boolean): Snapshot | null;
  positionsIn?(uid: Uid, snapshot: Snapshot): readonly Position[];
  topicsOf?(config: z.output<C>): readonly string[];
  build(uid: Uid, config: z.output<C>, services: Services): OperatorFunction<never, Element<unknown>>;
}

/** Declares a kind with a typed configuration. */
export function defineKind<C extends z.ZodType>(definition: KindDefinition<C>): OperatorKind {
  const { config, state = null, isTold = false } = definition;
  return {
    ...definition,
    state,
    isTold,
    code: null,
    migrationOf: (change) =>
      definition.migrationOf?.({ ...change, from: config.parse(change.from), to: config.parse(change.to) }) ?? null,
    respelled: (snapshot, respelling, given, batch) =>
      definition.respelled?.(snapshot, respelling, config.parse(given), batch) ?? snapshot,
    forked: (uid, snapshot, keepsOffsets) =>
      definition.forked ? definition.forked(uid, snapshot, keepsOffsets) : snapshot,
    positionsIn: (uid, snapshot) => definition.positionsIn?.(uid, snapshot) ?? [],
    refusalOf: (json, given, batch) => definition.refusalOf?.(json, config.parse(given), batch) ?? null,
    topicsOf: (json) => definition.topicsOf?.(config.parse(json)) ?? [],
    build: (uid, json, services) => definition.build(uid, config.parse(json), services),
  };
}
