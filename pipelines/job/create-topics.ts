import type { TopicLog, TopicRetention } from '../../operators/index.ts';
import { toBytes, toMs } from '../../operators/units.ts';
import type { Graph } from '../spec/graph.ts';
import { DEAD_LETTER_TOPIC } from '../spec/lint-topics.ts';
import type { TopicSpec } from '../spec/topics.ts';

/** Makes the topics of a graph that are missing, and warns where one that is there keeps its records for another time. */
export async function createTopics(log: TopicLog, graph: Graph, onWarning: (message: string) => void): Promise<void> {
  const own = [DEAD_LETTER_TOPIC, ...(graph.promote ? [graph.promote.topic] : [])];
  const made = Object.fromEntries(own.map((name): [string, TopicSpec] => [name, { partitions: 1 }]));
  const topics: Readonly<Record<string, TopicSpec>> = { ...made, ...graph.topics };
  for (const [name, spec] of Object.entries(topics)) {
    const wanted = retentionOf(spec);
    const { partitions } = spec;
    await log.createTopic(name, { ...(partitions === undefined ? {} : { partitions }), ...wanted });
    if (Object.keys(wanted).length === 0) continue;
    const actual = await log.retention(name);
    const ignored = retentionSettings.filter(
      (setting) => wanted[setting] !== undefined && wanted[setting] !== actual[setting],
    );
    if (ignored.length === 0) continue;
    onWarning(
      `Topic ${name} keeps the retention that it was made with (${describe(actual)}): the graph's (${describe(wanted)}) is ` +
        'for topics that are made anew. Use a topic of another name, or change it with the tools of Kafka where it is there.',
    );
  }
}

const retentionSettings = ['retentionBytes', 'retentionMs'] as const;

function retentionOf({ retentionBytes, retentionTime }: TopicSpec): TopicRetention {
  return {
    ...(retentionBytes === undefined ? {} : { retentionBytes: toBytes(retentionBytes) }),
    ...(retentionTime === undefined ? {} : { retentionMs: toMs(retentionTime) }),
  };
}

function describe({ retentionBytes, retentionMs }: TopicRetention): string {
  const limits = [
    ...(retentionBytes === undefined ? [] : [`${retentionBytes} bytes a partition`]),
    ...(retentionMs === undefined ? [] : [`${retentionMs / 1000} s`]),
  ];
  return limits.join(', ') || 'all records';
}
