import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { OperatorKind } from '../../operators/kind.ts';
import type { Json } from '../../operators/types.ts';
import { byteSizeSchema, durationSchema } from '../../operators/units.ts';
import type { ByteSize, Duration } from '../../operators/units.ts';
import { alertsSchema } from './alerts.ts';
import type { AlertsSpec } from './alerts.ts';
import { deploySchema } from './deploy.ts';
import type { DeploySpec } from './deploy.ts';
import type { OperatorModule } from '../own-operators/pack-module.ts';
import { kafkaSchema } from './kafka.ts';
import type { KafkaSpec } from './kafka.ts';
import { promoteSchema } from './promote.ts';
import type { PromoteSpec } from './promote.ts';
import { scheduleSpecSchema } from './schedule.ts';
import type { ScheduleSpec } from './schedule.ts';
import { schemaRegistrySchema } from './schema-registry.ts';
import type { SchemaRegistrySpec } from './schema-registry.ts';
import { topicSchema } from './topics.ts';
import type { TopicSpec } from './topics.ts';
import { presetNames } from '../../model/presets.ts';
import { modelConfigSchema } from '../../model/config.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { PresetName } from '../../model/presets.ts';
import { emaSchema, engineSchema } from '../../model/settings.ts';
import type { EngineSettings } from '../../model/settings.ts';

/** A graph: the model, the topics, and the streams of operators between them, as data. */
export interface Graph {
  readonly name: string;
  /** Modules with operators of one's own. */
  readonly operators?: readonly OperatorModule[] | undefined;
  readonly model: ModelSpec;
  readonly tokenizer: TokenizerSpec;
  readonly topics: Readonly<Record<string, TopicSpec>>;
  /** The cluster that has the topics; without it they are in the data folder. */
  readonly kafka?: KafkaSpec | undefined;
  /** Knows the schemas of Avro topics; without it they are the graph's. */
  readonly schemaRegistry?: SchemaRegistrySpec | undefined;
  /** Text to begin with, so that a new job has a stream to learn from. */
  readonly feed?: FeedSpec | undefined;
  readonly sampler?: SamplerSpec | undefined;
  /** Prompts that are asked again and again, so that one hears the model learn. */
  readonly standingPrompts?: StandingPromptsSpec | undefined;
  /** How it takes the place of the graph before it. */
  readonly deploy?: DeploySpec | undefined;
  /** What a snapshot must show before it may speak; without it, each one speaks. */
  readonly promote?: PromoteSpec | undefined;
  /** Who is told of alerts over HTTP. */
  readonly alerts?: AlertsSpec | undefined;
  /** Topic whose records ask the running job for something. */
  readonly control?: ControlSpec | undefined;
  readonly streams: Readonly<Record<string, readonly Step[]>>;
}

/** One operator of a stream. Its state belongs to the uid, wherever it stands. */
export interface Step {
  readonly uid: string;
  readonly kind: OperatorKind;
  /** As the kind's schema parsed it. */
  readonly config: unknown;
}

export interface ModelSpec {
  readonly preset: PresetName;
  /** Begins with the weights of a Hugging Face folder, and has its size. */
  readonly import?: ImportSpec | undefined;
  /** Sizes that are not the preset's; see `presetOf`. */
  readonly layers?: number | undefined;
  readonly hiddenSize?: number | undefined;
  readonly heads?: number | undefined;
  readonly intermediateSize?: number | undefined;
  readonly seed: number;
  readonly learningRate?: number | undefined;
  /** When the learning rate falls; without it, it never does. */
  readonly schedule?: ScheduleSpec | undefined;
  /** Parts that a batch is worked off in, to save memory. */
  readonly accumulate: number;
  /** Keeps a running mean of the weights, of which so much stays at each step. */
  readonly ema?: number | undefined;
  /** Which weights answer prompts: the running mean, where there is one, or those of the last step. */
  readonly speak?: 'ema' | 'last' | undefined;
  /** How steps are carried out; `auto` takes what suits the processor and the preset. */
  readonly engine: EngineSettings | 'auto';
}

/** The model that a job begins with. */
export interface ImportSpec {
  readonly path: string;
  /** As the folder said when the graph was read, so that the job does not need it again. */
  readonly config: ModelConfig;
}

export type TokenizerSpec =
  | { readonly kind: 'bytes' }
  | { readonly kind: 'bpe'; readonly sample: ByteSize }
  | { readonly kind: 'file'; readonly path: string };

export interface FeedSpec {
  readonly dataset: 'sotu';
  readonly topic: string;
}

export interface SamplerSpec {
  /** Of the time in which there is something to answer, so much is for the sampler. */
  readonly share: number;
}

export interface StandingPromptsSpec {
  readonly topic: string;
  readonly every: Duration;
  readonly prompts: readonly string[];
  readonly maxTokens: number;
}

export interface ControlSpec {
  readonly topic: string;
}

/** A graph whose streams have not been looked into yet. */
export interface GraphHead extends Omit<Graph, 'streams' | 'operators' | 'model'> {
  /** The folder that it begins with, or what `graphDocument` has made of it. */
  readonly model: Omit<ModelSpec, 'import'> & { readonly import?: string | ImportSpec | undefined };
  /** A file each, or what `graphDocument` has made of it. */
  readonly operators?: readonly (string | OperatorModule)[] | undefined;
  readonly streams: Readonly<Record<string, readonly unknown[]>>;
}

const topicName = z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, 'may hold letters, digits, dots, dashes and underscores');

export const tokenizerSpecSchema: z.ZodType<TokenizerSpec> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('bytes') }),
  z.strictObject({ kind: z.literal('bpe'), sample: byteSizeSchema.default('2MB') }),
  z.strictObject({ kind: z.literal('file'), path: z.string() }),
]);

const modulePath = z.string().min(1);
const moduleSchema = z.union([modulePath, z.strictObject({ path: modulePath, code: z.string() })]);

const importSchema = z.strictObject({ path: modulePath, config: modelConfigSchema });

const eagerWord = z.literal('eager').transform(() => ({ mode: 'eager' }) as const);

/** All of a graph but its streams, whose operators each have a schema of their own. */
export const graphHeadSchema: z.ZodType<GraphHead> = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, 'may hold letters, digits, dots, dashes and underscores'),
  model: z
    .strictObject({
      preset: z.enum(presetNames).default('small'),
      import: z.union([modulePath, importSchema], 'must name a folder').optional(),
      layers: z.int().positive().optional(),
      hiddenSize: z.int().positive().optional(),
      heads: z.int().positive().optional(),
      intermediateSize: z.int().positive().optional(),
      seed: z.int().default(1),
      learningRate: z.number().positive().optional(),
      schedule: scheduleSpecSchema.optional(),
      accumulate: z.int().positive().default(1),
      ema: emaSchema.optional(),
      speak: z.enum(['ema', 'last']).optional(),
      engine: z.union([z.literal('auto'), eagerWord, engineSchema]).default('auto'),
    })
    .refine(({ ema, speak }) => speak !== 'ema' || ema !== undefined, {
      path: ['speak'],
      message: 'needs a running mean of the weights: give ema, for instance 0.999',
    })
    .prefault({}),
  tokenizer: tokenizerSpecSchema.prefault({ kind: 'bpe' }),
  operators: z
    .union([modulePath.transform((path) => [path]), z.array(moduleSchema)], 'must name a file, or a list of files')
    .optional(),
  topics: z.record(topicName, topicSchema.prefault({})),
  kafka: kafkaSchema.optional(),
  schemaRegistry: schemaRegistrySchema.optional(),
  feed: z.strictObject({ dataset: z.literal('sotu'), topic: topicName }).optional(),
  sampler: z.strictObject({ share: z.number().gt(0).max(1).default(1) }).optional(),
  standingPrompts: z
    .strictObject({
      topic: topicName,
      every: durationSchema.default('10s'),
      prompts: z.array(z.string().min(1)).min(1),
      maxTokens: z.int().min(1).default(40),
    })
    .optional(),
  deploy: deploySchema.optional(),
  promote: promoteSchema.optional(),
  alerts: alertsSchema.optional(),
  control: z.strictObject({ topic: topicName }).optional(),
  // A stream's name is part of the names of its ledger's topic and of its checkpoints' folder.
  streams: z.record(
    z.string().regex(/^[\w-]{1,100}$/, 'may hold letters, digits, dashes and underscores'),
    z.array(z.unknown()).min(2),
  ),
});

/** A graph as the document that says it, every default written out; what `lintGraph` reads is the same graph again. */
export function graphDocument({ streams, ...head }: Graph): Json {
  const steps = Object.entries(streams).map(([name, stream]) => [
    name,
    stream.map(({ uid, kind, config }) => ({ uid, [kind.kind]: config })),
  ]);
  // Through text, so that what is left out is not there, and nothing is shared with the graph.
  return z.json().parse(JSON.parse(JSON.stringify({ ...head, streams: Object.fromEntries(steps) })));
}

/**
 * Identifies what a graph says: the same for the same graph, whatever its text looks like, and wherever its log is. The
 * code of operators of one's own is part of it.
 */
export function graphHash({ streams, kafka: _place, operators: _modules, ...head }: Graph): string {
  const steps = Object.entries(streams).map(([name, stream]) => [
    name,
    stream.map(({ uid, kind, config }) => ({
      uid,
      kind: kind.kind,
      config,
      ...(kind.code === null ? {} : { code: kind.code }),
    })),
  ]);
  return createHash('sha256')
    .update(JSON.stringify([head, steps]))
    .digest('hex')
    .slice(0, 16);
}
