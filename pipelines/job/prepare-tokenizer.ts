import { existsSync } from 'node:fs';
import { presets } from '../../model/presets.ts';
import {
  byteTokenizerFile,
  readTokenizerFile,
  trainTokenizer,
  writeTokenizerFile,
} from '../../model/tokenizer/tokenizer-file.ts';
import type { TokenizerFile } from '../../model/tokenizer/tokenizer-file.ts';
import { loadTokenizer } from '../../model/tokenizer/tokenizer.ts';
import type { Formats, Tokenizer, Topic, TopicLog } from '../../operators/index.ts';
import { toBytes } from '../../operators/units.ts';
import { lastValueFrom, merge, toArray } from 'rxjs';
import type { Graph } from '../spec/graph.ts';
import { topicsRead } from './run-stream.ts';
import { sampleText } from './sample-text.ts';

export interface PrepareTokenizerOptions {
  readonly graph: Graph;
  readonly log: TopicLog;
  readonly formats: Formats;
  /** Where the job keeps its tokenizer. */
  readonly path: string;
  readonly onWarning: (message: string) => void;
  readonly signal: AbortSignal;
}

/** With less text than this, no vocabulary is worth its name. */
const ENOUGH_BYTES = 64 * 1024;
const QUIET_MS = 5000;
const PATIENCE_MS = 30_000;

/**
 * The job's tokenizer: the one that it has, else bytes, else one from a file, else one trained on the first text of the
 * stream, which is waited for. It is kept before anything is trained with it. Null when told to stop while waiting.
 */
export async function prepareTokenizer(options: PrepareTokenizerOptions): Promise<Tokenizer | null> {
  const { path } = options;
  if (!existsSync(path)) {
    const file = await chooseTokenizer(options);
    if (!file) return null;
    writeTokenizerFile(path, file);
  }
  return loadTokenizer(path);
}

async function chooseTokenizer(options: PrepareTokenizerOptions): Promise<TokenizerFile | null> {
  const { model, tokenizer: spec } = options.graph;
  if (spec.kind === 'bytes') return byteTokenizerFile();
  if (spec.kind === 'file') return readTokenizerFile(spec.path);
  const sample = await takeSample(options, toBytes(spec.sample));
  return sample === null ? null : trainTokenizer([sample], presets[model.preset].model.vocabSize);
}

async function takeSample(options: PrepareTokenizerOptions, wantedBytes: number): Promise<string | null> {
  const { graph, log, formats, onWarning, signal } = options;
  const names = trainedTopics(graph);
  const topics: readonly Topic[] = await lastValueFrom(merge(...names.map((name) => log.topic(name))).pipe(toArray()));
  return sampleText(topics, {
    formats,
    wantedBytes,
    enoughBytes: ENOUGH_BYTES,
    quietMs: QUIET_MS,
    patienceMs: PATIENCE_MS,
    signal,
    onWaiting: (bytes) => {
      onWarning(
        `Waiting for text to train the tokenizer on: topic ${names.join(', ')} has ${kilobytes(bytes)}, ` +
          `${kilobytes(ENOUGH_BYTES)} will do, ${kilobytes(wantedBytes)} are wanted (millrace produce ${names[0]} FILES...).`,
      );
    },
  });
}

/** Topics that the training stream reads. */
export function trainedTopics({ streams }: Graph): readonly string[] {
  const steps = Object.values(streams).find((stream) => stream.some(({ kind }) => kind.kind === 'trainStep'));
  return steps ? topicsRead(steps) : [];
}

function kilobytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024)} KB`;
}
