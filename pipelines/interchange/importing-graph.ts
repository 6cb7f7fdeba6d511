import { resolve } from 'node:path';
import { readHuggingFaceConfig } from '../../model/interchange/hugging-face-import.ts';
import { parseGraph } from '../spec/parse-graph.ts';
import type { Graph, ImportSpec } from '../spec/graph.ts';

export interface ImportingGraph {
  readonly graph: Graph;
  readonly imported: ImportSpec;
}

/**
 * The graph of a job that begins with a model from elsewhere: trains on topic `text`, and answers prompts. Throws
 * `config-invalid` where the folder has no model that can be taken in.
 */
export function importingGraph(folder: string, name: string): ImportingGraph {
  const path = resolve(folder);
  const imported = { path, config: readHuggingFaceConfig(path) };
  const document = {
    name,
    model: { import: imported },
    topics: {
      text: {},
      prompts: {},
      metrics: {},
      generations: { retentionBytes: '64MB' },
      'generations-live': { retentionBytes: '8MB' },
    },
    streams: {
      learn: [
        { uid: 'text', ingest: { topics: ['text'] } },
        { uid: 'decode', decode: {} },
        { uid: 'tokenize', tokenize: {} },
        { uid: 'pack', batch: { maxWait: '30s' } },
        { uid: 'train', trainStep: {} },
        { uid: 'metrics', publish: { topic: 'metrics' } },
        { uid: 'checkpoint', checkpoint: { every: '5m', keep: 2 } },
      ],
      speak: [
        { uid: 'asked', ingest: { topics: ['prompts'], from: 'latest' } },
        { uid: 'prompts', prompts: {} },
        { uid: 'tokenize-prompt', tokenizePrompt: {} },
        { uid: 'generate', generate: {} },
        { uid: 'detokenize', detokenize: {} },
        { uid: 'live', publish: { topic: 'generations-live', exactlyOnce: false } },
        { uid: 'answers', publishAnswers: { topic: 'generations' } },
        { uid: 'offsets', checkpoint: { every: '5s', keep: 2 } },
      ],
    },
  };
  return { graph: parseGraph(JSON.stringify(document), folder), imported };
}
