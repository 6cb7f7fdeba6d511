import type { StepReport, TextDelta } from '../../operators/types.ts';

const delta: TextDelta = {
  event: 'generation',
  at: { topic: 'prompts', partition: 0, offset: 3 },
  id: 'p1',
  index: 0,
  text: ' people',
  finish: 'length',
  weights: {
    id: '000000012',
    step: 640,
    seen: { 'text/1': 9 },
    textAtMs: 1_700_000_000_000,
    trainedAtMs: 1_700_000_000_900,
  },
  usage: { promptTokens: 5, completionTokens: 1, cachedTokens: 4 },
  freshness: { trainedMs: 900, spokenMs: 1500 },
};

const step: StepReport = {
  event: 'step',
  step: 300,
  loss: 2.5,
  bitsPerByte: 1.75,
  gradNorm: 0.5,
  lr: 0.001,
  tokens: 512,
  bytes: 2048,
  totals: { tokens: 153_600, bytes: 614_400, bits: 1_000_000.5 },
  skipped: false,
  spans: [{ topic: 'text', partition: 1, from: 5, to: 9 }],
  timestampMs: 1_700_000_000_000,
};

interface OwnValue {
  readonly schema: string;
  readonly value: object;
  readonly hex: string;
}

/** A value for each of our schemas but the dead letter, and its Avro body as Apache Avro 1.12.2 for Python writes it. */
export const ownValues: readonly OwnValue[] = [
  {
    schema: 'millrace.Document',
    value: { text: 'naïve ☃', source: 'a' },
    hex: '146e61c3af766520e29883020261',
  },
  {
    schema: 'millrace.Prompt',
    value: {
      prompt: 'We the',
      id: 'p1',
      maxTokens: 32,
      temperature: 0,
      topK: null,
      topP: 0.95,
      seed: 7,
      deadlineMs: 2000,
      deadline: null,
      onNewWeights: 'finish',
    },
    hex: '0c5765207468650204703102400200000000000000000002666666666666ee3f020e02a01f00020c66696e697368',
  },
  {
    schema: 'millrace.GenerationDelta',
    value: delta,
    hex:
      '1467656e65726174696f6e047031020e70726f6d7074730006000e2070656f706c65020c6c656e67746812303030303030303132800a' +
      '020c746578742f3112000280a0abfef9620288aeabfef962020a020802880eb817',
  },
  {
    schema: 'millrace.StepReport',
    value: step,
    hex:
      '0873746570d8040000000000000440000000000000fc3f000000000000e03ffca9f1d24d62503f8008802080e01280804b' +
      '0000000081842e4100020874657874020a120080a0abfef962',
  },
  {
    schema: 'millrace.Control',
    value: { command: 'savepoint', job: null, id: 'c1', arguments: { reason: 'test' } },
    hex: '1273617665706f696e740002046331020c726561736f6e087465737400',
  },
];
