import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineKind } from '../../../operators/index.ts';
import { graphDocument } from '../../../pipelines/spec/graph.ts';
import type { Graph } from '../../../pipelines/index.ts';
import { planRedeploy } from '../../../pipelines/index.ts';
import { isHandedOver, trainsAlike } from '../../../pipelines/redeploy/plan.ts';
import { planLines } from '../../../pipelines/terminal/plan-view.ts';
import { graphOf, statesOf } from '../../support/graphs.ts';

const GRAPH = `name: test
model: { preset: nano }
tokenizer: { kind: bytes }
topics: { text: {}, news: {}, metrics: {}, prompts: {}, generations: {} }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {} }
    - { uid: train, trainStep: {} }
    - { uid: metrics, publish: { topic: metrics } }
    - { uid: checkpoint, checkpoint: {} }
  speak:
    - { uid: asked, ingest: { topics: [prompts], from: latest } }
    - { uid: prompts, prompts: {} }
    - { uid: tokenize-prompt, tokenizePrompt: {} }
    - { uid: generate, generate: {} }
    - { uid: detokenize, detokenize: {} }
    - { uid: answers, publish: { topic: generations, exactlyOnce: false } }
    - { uid: offsets, checkpoint: {} }
`;

const packed = { segment: 1, ids: [1, 2, 3, 4], targets: [2, 3, 4, 5], lossMask: [1, 1, 1, 1], segments: [1, 1, 1, 1] };
const STATES = statesOf({
  learn: {
    text: {
      state: { positions: [{ topic: 'text', partition: 0, offset: 40 }], ledger: 3, played: 0, lastRun: 'text/0' },
    },
    pack: { state: { ...packed, byteCount: 4, spans: [], timestampMs: 0, waitingSinceMs: null } },
    train: { state: { step: 7, totals: { tokens: 1, bytes: 1, bits: 1 }, waiting: [], trainer: null } },
    metrics: { state: { published: 7 } },
  },
  speak: {
    asked: {
      state: { positions: [{ topic: 'prompts', partition: 0, offset: 2 }], ledger: 1, played: 0, lastRun: null },
    },
    generate: { state: { unfinished: [] } },
    answers: { state: { published: 30 } },
  },
});

/** A change of the text of the graph, and what the plan says of one uid: its action, and what happens to its state. */
interface Row {
  readonly rule: string;
  readonly change: readonly (readonly [before: string, after: string])[];
  readonly discard?: readonly string[];
  readonly outcome: 'nothing' | 'changes' | 'refused';
  readonly effect?: 'none' | 'live' | 'cut' | 'rebuild' | 'restart';
  readonly uid?: string;
  readonly action?: string;
  readonly state?: string;
  readonly says?: string;
}

const PUBLISH = '    - { uid: metrics, publish: { topic: metrics } }\n';
const SECOND = '    - { uid: second, publish: { topic: news } }\n';

/** Modelled on the tests by which Flink restores savepoints into jobs of another shape. */
const ROWS: readonly Row[] = [
  {
    rule: 'a format of records: a rebuild of who reads them',
    change: [['text: {}', 'text: { format: json }']],
    outcome: 'changes',
    effect: 'rebuild',
  },
  {
    rule: 'another share for the sampler: a rebuild of who speaks',
    change: [['tokenizer:', 'sampler: { share: 0.5 }\ntokenizer:']],
    outcome: 'changes',
    effect: 'rebuild',
  },
  {
    rule: 'the same graph',
    change: [],
    outcome: 'nothing',
    effect: 'none',
    uid: 'pack',
    action: 'kept',
    state: 'kept',
  },
  {
    rule: 'chain break: a stateful operator added between two others starts empty, its neighbours keep theirs',
    change: [[PUBLISH, SECOND + PUBLISH]],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'second',
    action: 'new',
    state: 'starts empty',
  },
  {
    rule: 'length increase: the operators around an added one keep their state',
    change: [[PUBLISH, PUBLISH + SECOND]],
    outcome: 'changes',
    uid: 'metrics',
    action: 'kept',
    state: 'kept',
  },
  {
    rule: 'length decrease, stateful: refused',
    change: [[PUBLISH, '']],
    outcome: 'refused',
    uid: 'metrics',
    action: 'discarded',
    says: 'metrics: It is gone, and its state (how many records it has published) would be lost',
  },
  {
    rule: 'length decrease, stateful, with consent',
    change: [[PUBLISH, '']],
    discard: ['metrics'],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'metrics',
    action: 'discarded',
    state: 'lost',
  },
  {
    rule: 'consent for another operator is none',
    change: [[PUBLISH, '']],
    discard: ['pack', 'metric'],
    outcome: 'refused',
    says: '--discard metric: it has no state that would be lost',
  },
  {
    rule: 'stateless decrease: free',
    change: [['    - { uid: prompts, prompts: {} }\n', '    - { uid: questions, prompts: {} }\n']],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'prompts',
    action: 'removed',
    state: 'none',
  },
  {
    rule: 'stateless increase: free',
    change: [['    - { uid: prompts, prompts: {} }\n', '    - { uid: questions, prompts: {} }\n']],
    outcome: 'changes',
    uid: 'questions',
    action: 'new',
    state: 'none',
  },
  {
    rule: 'a stateful uid renamed is one lost and one new',
    change: [['uid: pack', 'uid: packer']],
    outcome: 'refused',
    uid: 'packer',
    action: 'new',
    state: 'starts empty',
    says: 'pack: It is gone',
  },
  {
    rule: 'the same uid as another kind: refused where it has state',
    change: [
      [PUBLISH, ''],
      ['uid: pack', 'uid: metrics'],
    ],
    outcome: 'refused',
    uid: 'metrics',
    says: "metrics: It was publish and is batch now. Its state can't go on in another kind",
  },
  {
    rule: 'the same uid as another kind, with consent, starts empty',
    change: [
      [PUBLISH, ''],
      ['uid: pack', 'uid: metrics'],
    ],
    discard: ['metrics', 'pack'],
    outcome: 'changes',
    uid: 'metrics',
    action: 'discarded',
    state: 'lost; starts empty',
  },
  {
    rule: 'the same uid as another kind: free where it has no state',
    change: [
      ['uid: decode', 'uid: x'],
      ['uid: tokenize, ', 'uid: decode, '],
    ],
    outcome: 'changes',
    uid: 'decode',
    action: 'new',
    state: 'none',
  },
  {
    rule: 'union: a source reads one topic more, and goes on in the others',
    change: [['topics: [text]', 'topics: [text, news]']],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'text',
    action: 'migrated',
    state: 'kept for the topics that stay',
  },
  {
    rule: 'union, decrease: refused, since the offsets of a topic would be lost',
    change: [['topics: [text]', 'topics: [news]']],
    outcome: 'refused',
    uid: 'text',
    says: 'text: the offsets of topic text would be lost. Give it back as it was, or say --discard text.text',
  },
  {
    rule: 'union, decrease, with consent',
    change: [['topics: [text]', 'topics: [news]']],
    discard: ['text.text'],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'text',
    action: 'migrated',
    state: 'kept for the topics that stay',
  },
  {
    rule: 'consent to a part that is not lost is none',
    change: [['topics: [text]', 'topics: [text, news]']],
    discard: ['text.text'],
    outcome: 'refused',
    says: '--discard text.text: it has no state that would be lost',
  },
  {
    rule: 'fan-out: another stream reads the same topic, from offsets of its own',
    change: [['  speak:', '  watch: [{ uid: seen, ingest: { topics: [text] } }, { uid: read, decode: {} }]\n  speak:']],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'seen',
    action: 'new',
    state: 'starts empty',
  },
  {
    rule: 'rewire: a publisher writes to another topic, and counts on',
    change: [['publish: { topic: metrics }', 'publish: { topic: news }']],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'metrics',
    action: 'reconfigured',
    state: 'kept',
  },
  {
    rule: 'a stateful operator in another stream: refused, since each has cuts of its own',
    change: [['  speak:', '  talk:']],
    outcome: 'refused',
    uid: 'generate',
    says: 'generate: It was in stream "speak"',
  },
  {
    rule: 'a stateless setting: a rebuild',
    change: [['decode: {}', 'decode: { maxBytes: 1MB }']],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'decode',
    action: 'reconfigured',
    state: 'none',
  },
  {
    rule: 'a setting of a stateful operator: a rebuild over its state',
    change: [['batch: {}', 'batch: { rows: 16 }']],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'pack',
    action: 'reconfigured',
    state: 'kept',
  },
  {
    rule: 'a setting that the state does not fit: refused',
    change: [['batch: {}', 'batch: { rows: 1, context: 4 }']],
    outcome: 'refused',
    uid: 'pack',
    says: 'the batch that has begun holds 4 tokens, which do not fit into 1 × 4',
  },
  {
    rule: 'a state that is to be dropped although it could stay',
    change: [],
    discard: ['pack'],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'pack',
    action: 'discarded',
    state: 'lost; starts empty',
  },
  {
    rule: 'learning rate: at a cut, without a trainer anew',
    change: [['preset: nano', 'preset: nano, learningRate: 0.1']],
    outcome: 'changes',
    effect: 'cut',
  },
  {
    rule: 'sampling defaults: told to the stream that answers',
    change: [['uid: prompts, prompts: {}', 'uid: prompts, prompts: { temperature: 0 }']],
    outcome: 'changes',
    effect: 'live',
    uid: 'prompts',
    action: 'reconfigured',
    state: 'none',
  },
  {
    rule: 'engine: a rebuild',
    change: [['preset: nano', 'preset: nano, engine: { mode: eager }']],
    outcome: 'changes',
    effect: 'rebuild',
  },
  {
    rule: 'a deeper model: a migration, declared by who has the weights',
    change: [['preset: nano', 'preset: nano, layers: 6']],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'train',
    action: 'migrated',
    state: 'grown: layers 4 → 6',
  },
  {
    rule: 'a wider model: a migration',
    change: [['preset: nano', 'preset: nano, hiddenSize: 192, heads: 6, intermediateSize: 480']],
    outcome: 'changes',
    effect: 'rebuild',
    uid: 'train',
    action: 'migrated',
    state: 'grown: hiddenSize 128 → 192, heads 4 → 6, kvHeads 4 → 6, intermediateSize 320 → 480',
  },
  {
    rule: 'a smaller model: refused',
    change: [['preset: nano', 'preset: nano, layers: 2']],
    outcome: 'refused',
    uid: 'train',
    says: 'train: layers 4 → 2 would throw away what was learnt',
  },
  {
    rule: 'a model that no weights would make the same: refused',
    change: [['preset: nano', 'preset: small']],
    outcome: 'refused',
    uid: 'train',
    says: 'train: headDim 32 → 64 changes what is computed',
  },
  {
    rule: 'another tokenizer: a migration, of the weights',
    change: [['kind: bytes', 'kind: bpe']],
    outcome: 'changes',
    effect: 'restart',
    uid: 'train',
    action: 'migrated',
    state: 'rows of shared tokens kept',
  },
  {
    rule: 'another tokenizer: a migration, of all that holds tokens',
    change: [['kind: bytes', 'kind: bpe']],
    outcome: 'changes',
    uid: 'pack',
    action: 'migrated',
    state: 'spelled in the new vocabulary',
  },
  {
    rule: 'another tokenizer: offsets stay, as they are of records',
    change: [['kind: bytes', 'kind: bpe']],
    outcome: 'changes',
    uid: 'text',
    action: 'kept',
    state: 'kept',
  },
  { rule: 'another seed: no effect', change: [['preset: nano', 'preset: nano, seed: 9']], outcome: 'nothing' },
  {
    rule: 'a topic more: live',
    change: [['topics: { text: {}', 'topics: { extra: {}, text: {}']],
    outcome: 'changes',
    effect: 'live',
  },
  {
    rule: 'partitions: refused',
    change: [['text: {}', 'text: { partitions: 2 }']],
    outcome: 'refused',
    says: 'topics.text: ',
  },
  { rule: 'retention: no effect', change: [['text: {}', 'text: { retentionBytes: 1MB }']], outcome: 'nothing' },
  {
    rule: 'where the log is: the same graph',
    change: [['model:', 'kafka: { brokers: ["b:1"] }\nmodel:']],
    outcome: 'nothing',
    effect: 'none',
  },
  {
    rule: 'another name: live',
    change: [['name: test', 'name: other']],
    outcome: 'changes',
    effect: 'live',
  },
];

test.each(ROWS)('$rule', ({ change, discard = [], outcome, effect, uid, action, state, says }) => {
  const text = change.reduce((graph, [before, after]) => {
    expect(graph).toContain(before);
    return graph.replace(before, after);
  }, GRAPH);
  const plan = planRedeploy({ from: graphOf(GRAPH), to: graphOf(text), states: STATES, discard: new Set(discard) });
  expect(plan.outcome).toBe(outcome);
  const row = plan.operators.find((each) => each.uid === uid);
  expect({ effect: plan.effect, action: row?.action, state: row?.state }).toMatchObject({
    ...(effect === undefined ? {} : { effect }),
    ...(action === undefined ? {} : { action }),
    ...(state === undefined ? {} : { state }),
  });
  expect(plan.refusals.join('\n')).toContain(says ?? '');
  const lines = planLines(plan);
  expect(lines.includes('Refused:')).toBe(outcome === 'refused');
  expect(lines.includes('Nothing changes.')).toBe(outcome === 'nothing');
});

test('operators that change places keep their state, and the stream is built anew', () => {
  const from = graphOf(GRAPH.replace(PUBLISH, PUBLISH + SECOND));
  const to = graphOf(GRAPH.replace(PUBLISH, SECOND + PUBLISH));
  const plan = planRedeploy({ from, to, states: STATES, discard: new Set() });
  expect(plan).toMatchObject({ outcome: 'changes', effect: 'rebuild', rebuilt: ['learn'] });
  expect(plan.operators.find(({ uid }) => uid === 'metrics')).toMatchObject({
    action: 'kept',
    state: 'kept',
    reasons: ['Moved; its state follows the uid.'],
  });
});

test('offsets go on where they were, begin where a topic is new, and are dropped with their topic', () => {
  const to = graphOf(GRAPH.replace('topics: [text]', 'topics: [news]'));
  const plan = planRedeploy({ from: graphOf(GRAPH), to, states: STATES, discard: new Set() });
  expect(plan.operators.find(({ uid }) => uid === 'text')?.offsets).toEqual([
    { topic: 'text', partition: 0, offset: 'dropped' },
    { topic: 'news', partition: null, offset: 'earliest' },
  ]);
  expect(plan.operators.find(({ uid }) => uid === 'asked')?.offsets).toEqual([
    { topic: 'prompts', partition: 0, offset: 2 },
  ]);
});

test('only what is compiled into the step is compiled anew', () => {
  expect(warmUp('batch: {}', 'batch: { maxWait: 1s }')).toEqual([]);
  expect(warmUp('batch: {}', 'batch: { rows: 4 }')).toHaveLength(1);
  expect(warmUp('preset: nano', 'preset: nano, accumulate: 2')).toHaveLength(1);
});

test('a job that has trained nothing yet may take another model', () => {
  const to = graphOf(GRAPH.replace('preset: nano', 'preset: small').replace('kind: bytes', 'kind: bpe'));
  const plan = planRedeploy({ from: graphOf(GRAPH), to, states: new Map(), discard: new Set() });
  expect(plan).toMatchObject({ outcome: 'changes', effect: 'restart' });
});

test('a stream is handed over where it is built anew or its trainer is told something, and only then trains otherwise', () => {
  const told = planTo('preset: nano', 'preset: nano, learningRate: 0.1');
  expect([told.rebuilt, isHandedOver(told, 'learn'), isHandedOver(told, 'speak')]).toEqual([[], true, false]);
  const renamed = planTo('name: test', 'name: other');
  expect([isHandedOver(renamed, 'learn'), trainsAlike(renamed)]).toEqual([false, true]);
  const rebuilt = planTo('batch: {}', 'batch: { rows: 4 }');
  expect([isHandedOver(rebuilt, 'learn'), trainsAlike(rebuilt), trainsAlike(told)]).toEqual([true, false, false]);
});

test('a kind says itself what can not be changed over its state', () => {
  const kind = defineKind({
    kind: 'window',
    summary: 'Keeps a window.',
    input: 'step-report',
    output: 'step-report',
    state: 'the window',
    config: z.strictObject({ size: z.int().default(3) }),
    refusalOf: (_, { size }) => (size > 3 ? 'the window is smaller' : null),
    build: () => (flow) => flow,
  });
  const withSize = (size: number): Graph => {
    const graph = graphOf(GRAPH);
    return { ...graph, streams: { ...graph.streams, watch: [{ uid: 'window', kind, config: { size } }] } };
  };
  const plan = (states: Parameters<typeof statesOf>[0]): ReturnType<typeof planRedeploy> =>
    planRedeploy({ from: withSize(3), to: withSize(4), states: statesOf(states), discard: new Set() });
  expect(plan({}).outcome).toBe('changes');
  expect(plan({ watch: { window: { state: null } } }).refusals.join()).toContain(
    "Its state can't go on: the window is smaller",
  );
});

test('code of one’s own that throws over its state is refused', () => {
  const graph = graphOf(GRAPH);
  const watching = (code: string): Graph => {
    const kind = {
      ...defineKind({
        kind: 'watch',
        summary: 'Watches.',
        input: 'step-report',
        output: 'step-report',
        state: 'what it has seen',
        config: z.strictObject({}),
        refusalOf: (state) => z.string().parse(state),
        build: () => (flow) => flow,
      }),
      code,
    };
    return { ...graph, streams: { ...graph.streams, watch: [{ uid: 'seen', kind, config: {} }] } };
  };
  const states = statesOf({ watch: { seen: { state: 3 } } });
  const plan = planRedeploy({ from: watching('a'), to: watching('b'), states, discard: new Set() });
  expect(plan.refusals.join()).toContain("seen: Its code can't take over its state");
  expect(plan.refusals.join()).toContain('--discard seen');
});

test('a graph comes back from its document as it was', () => {
  const graph = graphOf(GRAPH);
  const again = graphOf(JSON.stringify(graphDocument(graph)));
  expect(planRedeploy({ from: graph, to: again, states: STATES, discard: new Set() }).outcome).toBe('nothing');
  expect(graphDocument(again)).toEqual(graphDocument(graph));
});

function warmUp(before: string, after: string): readonly string[] {
  return planTo(before, after).warmUp;
}

function planTo(before: string, after: string): ReturnType<typeof planRedeploy> {
  const to = graphOf(GRAPH.replace(before, after));
  return planRedeploy({ from: graphOf(GRAPH), to, states: STATES, discard: new Set() });
}
