import { z } from 'zod';
import type { Graph, Step } from './graph.ts';
import type { Problem } from './lint.ts';
import { batchShapeOf, presetOf } from './preset-of.ts';
import { has } from './streams.ts';

type Streams = Graph['streams'];
type Head = Pick<Graph, 'model' | 'standingPrompts'>;

/** Operators that each are right, but fight with the model or with one another. */
export function operatorConflicts(head: Head, streams: Streams): Problem[] {
  return [
    ...batchConflicts(head, streams),
    ...publishConflicts(streams),
    ...topicCycles(streams),
    ...neverReached(head, streams),
  ];
}

const batchSchema = z.object({ rows: z.int().optional(), context: z.int().optional() });

/** Batches that the model can't take. */
function batchConflicts({ model }: Head, streams: Streams): Problem[] {
  const shape = batchShapeOf(model);
  const { maxContext } = presetOf(model).model;
  const whose = model.import ? 'The imported model' : `Preset ${model.preset}`;
  return each(streams, 'batch', ({ config }, path) => {
    const { rows = shape.rows, context } = batchSchema.parse(config);
    const problems: Problem[] = [];
    const add = (setting: string, message: string): void =>
      void problems.push({ code: 'settings-conflict', path: [...path, setting], message });
    if ((context ?? 0) > maxContext) {
      add('context', `${whose} sees ${maxContext} tokens at most. Use as many or fewer, or a larger model.`);
    }
    if (rows % model.accumulate !== 0) {
      add(
        'rows',
        `${rows} rows do not divide into the ${model.accumulate} parts of model.accumulate. Change one of them.`,
      );
    }
    return problems;
  });
}

const publishSchema = z.object({ topic: z.string(), exactlyOnce: z.boolean() });

/** Numbers by which a publisher knows its records hold while the stream repeats itself and nobody else writes there. */
function publishConflicts(streams: Streams): Problem[] {
  const writers = new Map<string, string>();
  return each(streams, 'publish', ({ uid, config }, path) => {
    const { topic, exactlyOnce } = publishSchema.parse(config);
    const other = writers.get(topic);
    writers.set(topic, other ?? uid);
    const problems: Problem[] = [];
    if (other !== undefined && exactlyOnce) {
      const message = `"${other}" writes to topic "${topic}" too, so what is there can't be known after a restart. Give each a topic of its own.`;
      problems.push({ code: 'settings-conflict', path: [...path, 'topic'], message });
    }
    return problems;
  });
}

/** Streams that read what they, or others behind them, have written: they would never come to an end. */
function topicCycles(streams: Streams): Problem[] {
  const reads = new Map(Object.entries(streams).map(([name, steps]) => [name, topicsOf(steps, true)]));
  const writes = new Map(Object.entries(streams).map(([name, steps]) => [name, topicsOf(steps, false)]));
  const feeds = (from: string, to: string): boolean =>
    (writes.get(from) ?? []).some((topic) => reads.get(to)?.includes(topic));
  const names = Object.keys(streams);
  return names.flatMap((name): Problem[] => {
    const reached = new Set(names.filter((other) => feeds(name, other)));
    for (const via of reached) for (const other of names) if (feeds(via, other)) reached.add(other);
    if (!reached.has(name)) return [];
    const message = `Stream "${name}" reads what it has written itself, directly or through others, and would never end. Use another topic.`;
    return [{ code: 'topic-cycle', path: ['streams', name], message }];
  });
}

/** Prompts that nothing ever comes of. */
function neverReached({ standingPrompts }: Head, streams: Streams): Problem[] {
  const isHeard = Object.values(streams).some(
    (steps) => has(steps, 'generate') && topicsOf(steps, true).includes(standingPrompts?.topic ?? ''),
  );
  if (!standingPrompts || isHeard) return [];
  const message = `No stream answers what stands in topic "${standingPrompts.topic}". Add one with generate, or leave the prompts out.`;
  return [{ code: 'unreachable', path: ['standingPrompts', 'topic'], message }];
}

function topicsOf(steps: readonly Step[], isRead: boolean): readonly string[] {
  return steps
    .filter(({ kind }) => (kind.input === 'topics') === isRead)
    .flatMap(({ kind, config }) => kind.topicsOf(config));
}

function each(
  streams: Streams,
  kindName: string,
  find: (step: Step, path: readonly PropertyKey[]) => readonly Problem[],
): Problem[] {
  return Object.entries(streams).flatMap(([name, steps]) =>
    steps.flatMap((step, index) => (step.kind.kind === kindName ? find(step, ['streams', name, index, kindName]) : [])),
  );
}
