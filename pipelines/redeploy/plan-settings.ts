import { isDeepStrictEqual } from 'node:util';
import type { Graph } from '../spec/graph.ts';
import { has } from '../spec/streams.ts';
import type { TopicSpec } from '../spec/topics.ts';
import { modelChange } from './model-change.ts';
import type { Effect, PlanInput } from './plan.ts';
import { shown } from './plan-operators.ts';

/** A setting of the graph, outside of its operators, that differs. */
export interface SettingRow {
  /** Such as `model.learningRate`. */
  readonly path: string;
  readonly from: string;
  readonly to: string;
  readonly effect: Effect;
  /** Streams that are built anew, or go on from a cut, because of it. */
  readonly streams: readonly string[];
  readonly warmUp: string | null;
  /** What there is to know. */
  readonly note: string | null;
  readonly refused: string | null;
}

type Rule = (input: PlanInput) => Partial<Pick<SettingRow, 'effect' | 'streams' | 'warmUp' | 'note' | 'refused'>>;

const RESTART = 'Stop the job, and start it again with millrace up.';

const restart: Rule = () => ({ effect: 'restart', note: RESTART });

/** What it takes to change a setting of the graph, where that is less than a restart, or refused. */
const RULES: Readonly<Record<string, Rule>> = {
  name: () => ({ effect: 'live' }),
  deploy: () => ({ effect: 'live', note: 'Holds from this deployment on.' }),
  kafka: () => ({ note: 'The same graph: where its log is found is read at each start (millrace up GRAPH).' }),
  control: () => ({ effect: 'live' }),
  tokenizer: () => ({ effect: 'restart', note: `${RESTART} The vocabulary is made then.` }),
  'model.preset': resized,
  'model.import': imported,
  'model.layers': resized,
  'model.hiddenSize': resized,
  'model.heads': resized,
  'model.intermediateSize': resized,
  'model.seed': (input) =>
    hasTrained(input) ? { note: 'No effect any more: the first weights are made.' } : restart(input),
  'model.learningRate': ({ to }) => ({ effect: 'cut', streams: trainingStreams(to) }),
  'model.schedule': trainerAnew,
  sampler: samplerAnew,
  'model.accumulate': trainerAnew,
  'model.engine': (input) =>
    input.to.model.engine === 'auto'
      ? { note: 'No effect: the job goes on with the engine that it has.' }
      : trainerAnew(input),
};

/** Whether the job's tokens become others. */
export function changesVocabulary({ settings }: { readonly settings: readonly SettingRow[] }): boolean {
  return settings.some(({ path, effect }) => path === 'tokenizer' && effect === 'restart');
}

/** Settings that differ, each with what becomes of it. */
export function planSettings(input: PlanInput): readonly SettingRow[] {
  const { from, to } = input;
  const [before, after] = [settingsOf(from), settingsOf(to)];
  const paths = [...new Set([...before.keys(), ...after.keys()])];
  const differing = paths.flatMap((path): readonly SettingRow[] => {
    const [old, wanted] = [before.get(path), after.get(path)];
    if (isDeepStrictEqual(old, wanted)) return [];
    const none = { effect: 'none', streams: [], warmUp: null, note: null, refused: null } as const;
    return [{ path, from: shown(old), to: shown(wanted), ...none, ...(RULES[path] ?? restart)(input) }];
  });
  return [...differing, ...planTopics(input)];
}

function planTopics({ from, to }: PlanInput): readonly SettingRow[] {
  const names = [...new Set([...Object.keys(from.topics), ...Object.keys(to.topics)])];
  return names.flatMap((name): readonly SettingRow[] => {
    const [before, after] = [from.topics[name], to.topics[name]];
    if (isDeepStrictEqual(before, after)) return [];
    const row = { path: `topics.${name}`, from: shown(before), to: shown(after), streams: [], warmUp: null } as const;
    if (!before) return [{ ...row, effect: 'live', note: 'Made when missing.', refused: null }];
    if (!after) return [{ ...row, effect: 'live', note: 'Stays in the log, with its records.', refused: null }];
    if (before.partitions !== after.partitions) {
      const refused = 'The partitions of a topic stay as many as they are. Set it back, or use another topic.';
      return [{ ...row, effect: 'none', note: null, refused }];
    }
    if (!isDeepStrictEqual(formatOf(before), formatOf(after))) {
      const note = 'Records that are in the topic already are read by the new format, too.';
      return [{ ...row, effect: 'rebuild', streams: streamsOf(to, name), note, refused: null }];
    }
    const note = 'No effect: a topic keeps the retention that it was made with.';
    return [{ ...row, effect: 'none', note, refused: null }];
  });
}

/** The operator that has the weights says whether they can grow. */
function resized(input: PlanInput): ReturnType<Rule> {
  return hasTrained(input) && modelChange(input.from, input.to) ? trainerAnew(input) : restart(input);
}

/** Weights are taken in once, where a job begins; but the size of the model may be another one by it. */
function imported(input: PlanInput): ReturnType<Rule> {
  const { from, to } = input;
  if (!hasTrained(input) || modelChange(from, to)) return resized(input);
  return { note: 'No effect any more: the job has its weights.' };
}

function trainerAnew({ to }: PlanInput): ReturnType<Rule> {
  return { effect: 'rebuild', streams: trainingStreams(to), warmUp: 'the training step, of a new trainer' };
}

function trainingStreams(graph: Graph): readonly string[] {
  return Object.keys(graph.streams).filter((name) => trains(graph, name));
}

function samplerAnew({ to }: PlanInput): ReturnType<Rule> {
  const streams = Object.keys(to.streams).filter((name) => uses(to, name, 'generate'));
  return streams.length > 0 ? { effect: 'rebuild', streams } : { effect: 'restart', note: RESTART };
}

/** All that a topic says of its records. */
function formatOf({
  partitions: _partitions,
  retentionBytes: _bytes,
  retentionTime: _time,
  ...format
}: TopicSpec): object {
  return format;
}

/** Streams that read or write a topic. */
function streamsOf({ streams }: Graph, topic: string): readonly string[] {
  const names = Object.entries(streams).map(([name, steps]) => {
    return steps.some(({ kind, config }) => kind.topicsOf(config).includes(topic)) ? name : null;
  });
  return names.filter((name) => name !== null);
}

function hasTrained({ from, states }: PlanInput): boolean {
  return Object.keys(from.streams).some((name) => trains(from, name) && (states.get(name)?.size ?? 0) > 0);
}

function trains(graph: Graph, name: string): boolean {
  return uses(graph, name, 'trainStep');
}

function uses({ streams }: Graph, name: string, kindName: string): boolean {
  return has(streams[name] ?? [], kindName);
}

/** What a graph says outside of its topics and streams, by path. */
function settingsOf({
  topics: _topics,
  streams: _streams,
  operators: _modules,
  model,
  ...head
}: Graph): ReadonlyMap<string, unknown> {
  const ofModel = Object.entries(model).map(([key, value]) => [`model.${key}`, value] as const);
  return new Map<string, unknown>([...Object.entries(head), ...ofModel]);
}
