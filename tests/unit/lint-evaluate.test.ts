import { describe, expect, test } from 'vitest';
import { trainerSettingsOf } from '../../pipelines/job/training-settings.ts';
import { lintGraph } from '../../pipelines/index.ts';
import { graphOf } from '../support/graphs.ts';
import { jobGraph } from '../support/job-graph.ts';

/** A graph with the operator, and whatever else it is to have. */
function withExam(config: string, change: (text: string) => string = (text) => text): string {
  const exam = `    - { uid: exam, evaluate: ${config} }\n    - { uid: metrics`;
  return change(jobGraph({ name: 'g' }).replace('    - { uid: metrics', exam));
}

function problems(text: string): readonly string[] {
  return lintGraph(text).findings.map(({ code, path }) => `${code} ${path}`);
}

/** With a topic for the results that is declared so. */
function inFormat(spec: string): readonly string[] {
  return problems(withExam('{}', (text) => text.replace('metrics: {}', `metrics: {}, evaluations: ${spec}`)));
}

function withSchedule(words: string): string {
  return jobGraph({ name: 'g' }).replace('preset: nano', `preset: nano, schedule: ${words}`);
}

function scheduleOf(words: string): unknown {
  return trainerSettingsOf(graphOf(withSchedule(words)).model, { vocabSize: 257, seed: 1 }).schedule;
}

describe('operator evaluate', () => {
  test('needs text that is not trained on, in a topic that is there', () => {
    expect(problems(withExam('{ heldOut: { file: a.txt } }'))).toEqual([]);
    expect(problems(withExam('{ heldOut: { topic: text } }'))).toEqual([
      'settings-conflict streams.learn[5].evaluate.heldOut',
    ]);
    expect(problems(withExam('{ heldOut: [{ topic: apart }] }'))).toEqual([
      'topic-missing streams.learn[5].evaluate.heldOut',
    ]);
    const apart = withExam('{ heldOut: [{ topic: apart }] }', (text) =>
      text.replace('metrics: {}', 'metrics: {}, apart: {}'),
    );
    expect(problems(apart)).toEqual([]);
  });

  test('writes to a topic that can hold results', () => {
    expect(inFormat('{ format: json }')).toEqual([]);
    expect(inFormat('{ format: avro, schema: millrace.Evaluation }')).toEqual([]);
    for (const spec of ['{ format: text }', '{ format: avro }', '{ format: json, field: text }']) {
      expect(inFormat(spec), spec).toEqual(['settings-conflict streams.learn[5].evaluate.topic']);
    }
  });

  test('stands behind the training, once', () => {
    const twice = withExam('{}', (text) =>
      text.replace('- { uid: exam', '- { uid: other, evaluate: {} }\n    - { uid: exam'),
    );
    expect(problems(twice)).toEqual(['settings-conflict streams.learn[6].evaluate']);
    const early = jobGraph({ name: 'g' }).replace(
      '    - { uid: pack',
      '    - { uid: exam, evaluate: {} }\n    - { uid: pack',
    );
    expect(problems(early)[0]).toContain('types-mismatch');
  });
});

describe('model.schedule', () => {
  test('is endless, or falls to zero over the last of so many tokens', () => {
    const endless = { warmupTokens: 10_000, finalFraction: 0.1 };
    expect(scheduleOf('endless')).toEqual(endless);
    const whole = {
      warmupTokens: 10_000,
      totalTokens: 100_000,
      decayTokens: 20_000,
      decay: '1-sqrt',
      finalFraction: 0,
    };
    expect(scheduleOf('{ tokens: 100000 }')).toEqual(whole);
    expect(scheduleOf('{ tokens: 100000, decayShare: 0.5, decay: linear, warmupTokens: 0 }')).toEqual({
      ...whole,
      decayTokens: 50_000,
      decay: 'linear',
      warmupTokens: 0,
    });
  });

  test('is refused where it can not be', () => {
    const refused = ['wsd', '{ tokens: 0 }', '{ tokens: 10, decayShare: 1, warmupTokens: 5 }'];
    for (const words of refused) {
      expect(problems(withSchedule(words))[0], words).toMatch(/^value-invalid model\.schedule/);
    }
  });
});
