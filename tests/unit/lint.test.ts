import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { graphHash, lintGraph } from '../../pipelines/index.ts';

const DEFAULT_GRAPH = readFileSync(new URL('../../pipelines/graphs/sotu.yaml', import.meta.url), 'utf8');

const GRAPH = `name: test
topics: { text: {}, metrics: {} }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {} }
    - { uid: train, trainStep: {} }
    - { uid: metrics, publish: { topic: metrics } }
    - { uid: checkpoint, checkpoint: {} }
`;

test('the graph that ships has nothing to be found', () => {
  const { graph, findings } = lintGraph(DEFAULT_GRAPH);
  expect(findings).toEqual([]);
  expect(graph?.name).toBe('sotu');
});

test('a small graph is whole: what it does not say has a default', () => {
  const { graph, findings } = lintGraph(GRAPH);
  expect(findings).toEqual([]);
  expect(graph).toMatchObject({
    model: { preset: 'small', seed: 1, engine: 'auto' },
    tokenizer: { kind: 'bpe', sample: '2MB' },
    topics: { text: {} },
  });
});

test('JSON is as good as YAML, and the same graph has the same hash', () => {
  const json = JSON.stringify({
    name: 'test',
    topics: { text: {} },
    streams: {
      learn: [
        { uid: 'a', ingest: { topics: ['text'] } },
        { uid: 'b', decode: {} },
      ],
    },
  });
  const yaml = `
# a comment
name: test
topics: { text: }
streams: { learn: [{ uid: a, ingest: { topics: [text] } }, { uid: b, decode: }] }
`;
  const [first, second] = [lintGraph(json), lintGraph(yaml.replace('text: }', 'text: {} }'))];
  expect([first.findings, second.findings]).toEqual([[], []]);
  expect(first.graph && second.graph && graphHash(first.graph) === graphHash(second.graph)).toBe(true);
});

test.each([
  [
    'an unknown setting',
    ['topics: [text] }', 'topics: [text], windw: 1MB }'],
    'unknown-key',
    5,
    'Did you mean "window"?',
  ],
  ['an unknown key of the graph', ['name: test', 'name: test\nmodle: {}'], 'unknown-key', 2, 'Did you mean "model"?'],
  ['an unknown kind', ['tokenize: {}', 'tokenise: {}'], 'kind-unknown', 7, 'Did you mean "tokenize"?'],
  ['two kinds in one step', ['decode: {}', 'decode: {}, batch: {}'], 'kind-missing', 6, 'One operator a step'],
  ['no kind', ['decode: {} }', '}'], 'kind-missing', 6, 'Name an operator'],
  [
    'a step that is no object',
    ['{ uid: decode, decode: {} }', 'decode'],
    'value-invalid',
    6,
    'An operator is an object',
  ],
  ['a uid that stands twice', ['uid: pack', 'uid: decode'], 'uid-duplicate', 8, 'a uid of its own'],
  ['no uid', ['uid: pack, ', ''], 'uid-missing', 8, 'needs a uid'],
  ['a bad value', ['batch: {}', 'batch: { rows: 0 }'], 'value-invalid', 8, 'expected number to be >0'],
  [
    'a duration without a unit',
    ['checkpoint: {} }', 'checkpoint: { every: 60 } }'],
    'value-invalid',
    11,
    'with a unit',
  ],
  [
    'a topic that is not there',
    ['publish: { topic: metrics }', 'publish: { topic: metric }'],
    'topic-missing',
    10,
    'Did you mean "metrics"?',
  ],
  [
    'neighbours that do not fit',
    ['    - { uid: decode, decode: {} }\n', ''],
    'types-mismatch',
    6,
    '"tokenize" takes document',
  ],
  [
    'an operator behind the checkpoint',
    ['checkpoint: {} }', 'checkpoint: {} }\n    - { uid: late, publish: { topic: metrics } }'],
    'checkpoint-not-last',
    11,
    'Put it last',
  ],
  [
    'a trainer whose work nobody saves',
    ['    - { uid: checkpoint, checkpoint: {} }\n', ''],
    'checkpoint-missing',
    5,
    'must end in "checkpoint"',
  ],
  ['a stream whose name is a path', ['  learn:', '  ../learn:'], 'value-invalid', 5, 'This name may hold letters'],
  ['what nothing comes near', ['name: test', 'name: test\nrepository: x'], 'unknown-key', 2, 'There are: name, model'],
  [
    'a field of a topic whose values have none',
    ['text: {}', 'text: { format: text, field: body }'],
    'settings-conflict',
    2,
    'format: json',
  ],
  ['a field that is no path', ['text: {}', 'text: { format: json, field: a..b }'], 'value-invalid', 2, 'message.text'],
  [
    'reports in a topic of text',
    ['metrics: {}', 'metrics: { format: text }'],
    'settings-conflict',
    10,
    'These reports are no text',
  ],
  [
    'a format of the dead letters',
    ['metrics: {}', 'metrics: {}, deadletters: { format: json }'],
    'settings-conflict',
    2,
    'bytes of their record',
  ],
  [
    'a context that the model does not see',
    ['batch: {}', 'batch: { context: 512 }'],
    'settings-conflict',
    8,
    'Preset small sees 256 tokens at most',
  ],
  [
    'rows that do not divide into parts',
    ['name: test', 'name: test\nmodel: { accumulate: 3 }'],
    'settings-conflict',
    9,
    '4 rows do not divide into the 3 parts',
  ],
  [
    'a stream that reads what it has written',
    ['topics: [text]', 'topics: [text, metrics]'],
    'topic-cycle',
    5,
    'would never end',
  ],
  [
    'two that publish to one topic',
    ['    - { uid: checkpoint', '    - { uid: more, publish: { topic: metrics } }\n    - { uid: checkpoint'],
    'settings-conflict',
    11,
    '"metrics" writes to topic "metrics" too',
  ],
  [
    'prompts that nobody answers',
    ['topics: { text', 'standingPrompts: { topic: text, prompts: [a] }\ntopics: { text'],
    'unreachable',
    2,
    'No stream answers',
  ],
  ['YAML that is none', ['name: test', 'name: [test'], 'yaml-invalid', 2, ''],
])('finds %s, where it stands', (_what, [before = '', after = ''], code, line, says) => {
  const { graph, findings } = lintGraph(GRAPH.replace(before, after));
  expect(graph).toBeNull();
  expect(findings[0]).toMatchObject({ code, line });
  expect(findings[0]?.message).toContain(says);
});

test('answers may go to a topic of text', () => {
  const speak = `
  speak:
    - { uid: asked, ingest: { topics: [prompts] } }
    - { uid: prompts, prompts: {} }
    - { uid: tokenize-prompt, tokenizePrompt: {} }
    - { uid: generate, generate: {} }
    - { uid: detokenize, detokenize: {} }
    - { uid: answers, publish: { topic: generations, exactlyOnce: false } }
`;
  const topics = '{ prompts: { format: json, field: q.text }, generations: { format: text }, text: { format: json }';
  expect(lintGraph(GRAPH.replace('{ text: {}', topics) + speak).findings).toEqual([]);
});

test('answers in Avro need a schema', () => {
  const answers = `
  speak:
    - { uid: asked, ingest: { topics: [text] } }
    - { uid: prompts, prompts: {} }
    - { uid: tokenize-prompt, tokenizePrompt: {} }
    - { uid: generate, generate: {} }
    - { uid: detokenize, detokenize: {} }
    - { uid: answers, publishAnswers: { topic: generations } }
    - { uid: offsets, checkpoint: {} }
`;
  const found = (topic: string): readonly string[] =>
    lintGraph(GRAPH.replace('{ text: {}', `{ generations: ${topic}, text: {}`) + answers).findings.map(
      ({ code }) => code,
    );
  expect(found('{ format: avro }')).toEqual(['settings-conflict']);
  expect(found('{ format: avro, schema: millrace.GenerationDelta }')).toEqual([]);
  expect(found('{ format: text }')).toEqual([]);
});

test('finds a second trainer', () => {
  const [, learn = ''] = GRAPH.split('  learn:\n');
  const { findings } = lintGraph(
    `${GRAPH.replace('metrics: {}', 'metrics: {}, second: {}')}  again:\n${learn.replaceAll('uid: ', 'uid: second-').replace('{ topic: metrics }', '{ topic: second }')}`,
  );
  expect(findings.map(({ code, path }) => [code, path])).toEqual([['trainer-twice', 'streams.again[4]']]);
});

test('finds everything at once, each with its path', () => {
  const bad = GRAPH.replace('uid: pack', 'uid: decode').replace('decode: {}', 'decode: { max: 1 }');
  expect(lintGraph(bad).findings.map(({ code, path }) => [code, path])).toEqual([
    ['unknown-key', 'streams.learn[1].decode.max'],
    ['uid-duplicate', 'streams.learn[3].uid'],
  ]);
});

const SPEAKING = `name: speaking
topics: { prompts: {}, generations: {} }
streams:
  speak:
    - { uid: asked, ingest: { topics: [prompts] } }
    - { uid: prompts, prompts: {} }
    - { uid: tokenize, tokenizePrompt: {} }
    - { uid: generate, generate: {} }
    - { uid: detokenize, detokenize: {} }
    - { uid: answers, publishAnswers: { topic: generations } }
    - { uid: offsets, checkpoint: {} }
`;

test('a stream that answers has nothing to be found', () => {
  expect(lintGraph(SPEAKING).findings).toEqual([]);
});

test.each([
  [
    'answers that are counted on to repeat themselves',
    ['publishAnswers: {', 'publish: {'],
    'settings-conflict',
    10,
    'Use "publishAnswers"',
  ],
  [
    'two answers to one prompt',
    ['    - { uid: offsets', '    - { uid: more, publishAnswers: { topic: generations } }\n    - { uid: offsets'],
    'answers-twice',
    11,
    'may stand in a stream once',
  ],
  [
    'answers without cuts',
    ['    - { uid: offsets, checkpoint: {} }\n', ''],
    'checkpoint-missing',
    5,
    'prompts would be lost',
  ],
  [
    'an answer where there is none',
    ['    - { uid: detokenize, detokenize: {} }\n', ''],
    'types-mismatch',
    9,
    'takes text-delta',
  ],
])('%s is found in a stream that answers', (_, [from = '', to = ''], code, line, message) => {
  const { findings } = lintGraph(SPEAKING.replace(from, to));
  expect(findings).toMatchObject([{ code, line, message: expect.stringContaining(message) }]);
});
