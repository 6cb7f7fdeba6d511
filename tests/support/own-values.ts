import type { DeploymentRecord } from '../../pipelines/control/deployment-record.ts';
import type { Alert } from '../../operators/alert.ts';
import type { SurpriseRecord } from '../../operators/surprise.ts';
import type { StepReport, TextDelta } from '../../operators/types.ts';
import type { Evaluation } from '../../pipelines/evaluation/evaluation.ts';

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
  fault: null,
  attempt: 1,
  spans: [{ topic: 'text', partition: 1, from: 5, to: 9 }],
  timestampMs: 1_700_000_000_000,
  counts: { clean: { dropped: { wordCount: 3 } } },
  replayed: { rows: 2, from: [{ topic: 'text', partition: 1, offset: 5 }], loss: 2.5 },
  sources: {
    text: {
      tokens: 512,
      bytes: 2048,
      bits: 3584,
      window: { bytes: 204_800, bits: 400_000.5 },
      totals: { tokens: 153_600, bytes: 614_400, bits: 1_000_000.5 },
    },
  },
};

const surprise: SurpriseRecord = {
  event: 'surprise',
  at: { topic: 'text', partition: 1, offset: 7 },
  key: 'host-3',
  timestampMs: 1_700_000_000_000,
  step: 300,
  bytes: 64,
  bits: 256.5,
  bitsPerByte: 4.0078125,
  percentile: 99.5,
  sigma: null,
  tokens: [
    { text: ' panic', bits: 20.25 },
    { text: '', bits: 9.5 },
  ],
};

const alert: Alert = {
  event: 'alert',
  id: 'a1b2c3d4/surprise/drift/text',
  job: 'a1b2c3d4',
  rule: 'drift',
  state: 'raised',
  subject: 'text',
  figures: { bitsPerByte: 4.5 },
  message: 'Source text has moved.',
  atMs: 1_700_000_000_000,
  step: 300,
};

const promotion = {
  event: 'promotion',
  job: 'a1b2c3d4',
  sequence: 7,
  timestampMs: 1_700_000_000_000,
  verdict: 'refused',
  by: 'rule',
  snapshot: { id: '000000012', step: 640 },
  champion: { id: '000000011', step: 600 },
  reasons: ['2.500 bits per byte, after 2.000 (margin 0.02)'],
  results: { bitsPerByte: 2.5, bytes: 16_384, passRate: 0.25, items: 4 },
  against: { bitsPerByte: 2, bytes: 16_384, passRate: null, items: 0 },
  answers: [{ prompt: 'We the', answer: ' people' }],
};

const deployment: DeploymentRecord = {
  event: 'deployment',
  id: 'j1/3',
  job: 'j1',
  request: 'control/0/7',
  how: 'deploy',
  by: 'control/0/7',
  timestampMs: 1_700_000_000_000,
  version: 3,
  hash: '00112233aabbccdd',
  outcome: 'live',
  code: null,
  note: null,
  pauseMs: 20.5,
  savepoint: null,
  plan: {
    effect: 'rebuild',
    rebuilt: ['learn'],
    operators: [{ stream: 'learn', uid: 'pack', kind: 'batch', action: 'reconfigured', state: 'kept' }],
    settings: [{ path: 'model.learningRate', from: '0.1', to: '0.2' }],
  },
};

const evaluation: Evaluation = {
  event: 'evaluation',
  job: 'a1b2c3d4',
  timestampMs: 1_700_000_000_000,
  by: 'command',
  weights: { id: '000000012', step: 640, which: 'ema', merged: ['000000011', '000000012'] },
  window: 63,
  stride: 31,
  texts: [{ name: 'held-out.txt', tokens: 4096, bytes: 8192, bits: 12_288, bitsPerByte: 1.5 }],
  choices: [
    {
      name: 'shipped',
      items: 3,
      accuracy: 0.5,
      accuracyPerCharacter: null,
      accuracyPerByte: 0.75,
      accuracyUnconditional: 0.25,
    },
  ],
};

interface OwnValue {
  readonly schema: string;
  readonly value: object;
  readonly hex: string;
}

/** A value for each of our schemas and its Avro body as Apache Avro 1.12.2 for Python writes it. */
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
      stop: ['\n'],
    },
    hex: '0c5765207468650204703102400200000000000000000002666666666666ee3f020e02a01f00020c66696e6973680202020a00',
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
      '0000000081842e41000002020874657874020a120080a0abfef96202020a636c65616e020e64726f707065640212776f7264436f756e740600000002087465787480088020000000000000ac4080801900000000026a184180e01280804b0000000081842e4100' +
      '02040000000000000440020874657874020a00',
  },
  {
    schema: 'millrace.Promotion',
    value: promotion,
    hex: '1270726f6d6f74696f6e1061316232633364340e80a0abfef9620e726566757365640872756c6512303030303030303132800a0212303030303030303131b009025c322e35303020626974732070657220627974652c20616674657220322e30303020286d617267696e20302e303229000202000000000000044080800202000000000000d03f08020200000000000000408080020000020c5765207468650e2070656f706c6500',
  },
  {
    schema: 'millrace.Control',
    value: { command: 'savepoint', job: null, id: 'c1', arguments: { reason: 'test' } },
    hex: '1273617665706f696e740002046331020c726561736f6e087465737400',
  },
  {
    schema: 'millrace.Deployment',
    value: deployment,
    hex:
      '146465706c6f796d656e74086a312f33046a310216636f6e74726f6c2f302f370c6465706c6f790216636f6e74726f6c2f30' +
      '2f3780a0abfef9620206022030303131323233336161626263636464086c697665000002000000000080344000020e726562' +
      '75696c64020a6c6561726e00020a6c6561726e087061636b0a6261746368187265636f6e66696775726564086b6570740002' +
      '246d6f64656c2e6c6561726e696e675261746506302e3106302e3200',
  },
  {
    schema: 'millrace.Surprise',
    value: surprise,
    hex: '1073757270726973650874657874020e020c686f73742d3380a0abfef962d804800100000000000870400000000000081040020000000000e0584000040c2070616e6963000000000040344000000000000000234000',
  },
  {
    schema: 'millrace.Alert',
    value: alert,
    hex: '0a616c6572743861316232633364342f73757270726973652f64726966742f746578741061316232633364340a64726966740c7261697365640874657874021662697473506572427974650000000000001240002c536f75726365207465787420686173206d6f7665642e80a0abfef962d804',
  },
  {
    schema: 'millrace.Evaluation',
    value: evaluation,
    hex: '146576616c756174696f6e10613162326333643480a0abfef9620e636f6d6d616e6412303030303030303132800a06656d61041230303030303030313112303030303030303132007e3e021868656c642d6f75742e7478748040808001000000000000c84002000000000000f83f00020e736869707065640602000000000000e03f0002000000000000e83f02000000000000d03f00',
  },
];
