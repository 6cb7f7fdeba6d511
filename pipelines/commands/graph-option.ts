import { Option } from 'commander';
import type { Formats } from '../../operators/formats.ts';
import { placeOf } from '../job/open-log.ts';
import type { LogPlace } from '../job/open-log.ts';
import { formatsOf } from '../topics/formats.ts';
import { readGraph } from './lint.ts';

/** Flags of commands that work on topics beside a job. */
export interface TopicFlags extends LogPlace {
  readonly graph?: string;
}

export function graphOption(): Option {
  return new Option('--graph <file>', 'take what topics hold, and how brokers are reached, from this graph');
}

/** Where the topics are and how their values are written: by the graph, if one is named; flags go before it. */
export function topicsOf({ graph: file, dataDir, brokers }: TopicFlags): { place: LogPlace; formats: Formats } {
  const graph = file === undefined ? null : readGraph(file);
  return { place: placeOf(graph, { dataDir, brokers }), formats: formatsOf(graph ?? { topics: {} }) };
}
