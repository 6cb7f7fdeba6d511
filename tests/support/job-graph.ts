export interface JobGraphOptions {
  readonly name: string;
  /** Settings of the model beside its preset. */
  readonly model?: string;
  readonly partitions?: number;
  /** Settings of the text's `ingest` beside its topics. */
  readonly ingest?: string;
  /** Settings of `batch`. */
  readonly batch?: string;
  /** Topics that are trained on beside `text`. */
  readonly others?: readonly string[];
  /** What stands between `batch` and `trainStep`. */
  readonly behindBatch?: string;
  /** Topic of the steps; jobs on one log need one each. */
  readonly metrics?: string;
  readonly checkpointEvery?: string;
  /** With a stream that answers prompts. */
  readonly speaks?: boolean;
  /** More keys at the top of the graph. */
  readonly also?: string;
}

/** The smallest model over bytes, fed from topic `text`: quick to train, and to the bit the same in every run. */
export function jobGraph(options: JobGraphOptions): string {
  const { name, partitions = 1, ingest = 'window: 32KB', metrics = 'metrics', checkpointEvery = '2s' } = options;
  const { model, batch = 'maxWait: 500ms', speaks = false, also = '', others = [], behindBatch = '' } = options;
  const topics = ['text', ...others];
  return `
name: ${name}
model: { preset: nano${model === undefined ? '' : `, ${model}`} }
tokenizer: { kind: bytes }
topics: { ${topics.map((topic) => `${topic}: { partitions: ${partitions} }`).join(', ')}, ${metrics}: {}${speaks ? ', prompts: {}, generations: {}, generations-live: {}' : ''} }
${also}
streams:
  learn:
    - { uid: text, ingest: { topics: [${topics.join(', ')}], tickEvery: 200ms, ${ingest} } }
    - { uid: decode, decode: { maxBytes: 1MB } }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {${batch === '' ? '' : ` ${batch} `}} }
${behindBatch && `    - ${behindBatch}\n`}    - { uid: train, trainStep: {} }
    - { uid: metrics, publish: { topic: ${metrics} } }
    - { uid: checkpoint, checkpoint: { every: ${checkpointEvery} } }
${speaks ? SPEAK : ''}`;
}

const SPEAK = `
  speak:
    - { uid: asked, ingest: { topics: [prompts], from: latest } }
    - { uid: prompts, prompts: {} }
    - { uid: tokenize-prompt, tokenizePrompt: {} }
    - { uid: generate, generate: {} }
    - { uid: detokenize, detokenize: {} }
    - { uid: live, publish: { topic: generations-live, exactlyOnce: false } }
    - { uid: answers, publishAnswers: { topic: generations } }
    - { uid: offsets, checkpoint: { every: 1s, keep: 2 } }
`;
