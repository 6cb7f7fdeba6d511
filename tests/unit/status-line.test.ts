import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JobEvent, SourceBits, StepEvent } from '../../pipelines/job/events.ts';
import { JobStatus } from '../../pipelines/terminal/job-status.ts';
import { createReporter } from '../../pipelines/terminal/status-line.ts';
import type { Reporter } from '../../pipelines/terminal/status-line.ts';

const READY: JobEvent = {
  event: 'ready',
  job: 'ab12cd34',
  graph: 'sotu',
  preset: 'small',
  parameters: 12_300_000,
  dataDir: '.millrace',
  engine: { mode: 'compiled', precision: 'bf16', xla: true, threads: 2 },
  step: 0,
};
const SAVED: JobEvent = {
  event: 'checkpoint',
  id: '000000001',
  reason: 'timer',
  step: 10,
  bytes: 2 * 1024 * 1024,
  durationMs: 1200,
  path: 'there',
};
const SAVEPOINT: JobEvent = { ...SAVED, id: '000000002-savepoint', reason: 'savepoint' };
const SAMPLE: JobEvent = {
  event: 'generation',
  id: 'standing-1',
  prompt: 'The Congress',
  text: ' of the\nUnited States \u001b[2J',
  finish: 'length',
  weights: { id: '000000001', step: 10 },
};
const UNSAID: JobEvent = { ...SAMPLE, text: '', finish: 'deadline', weights: { id: '', step: 0 } };
const FRESH: JobEvent = { event: 'freshness', weights: { id: '000000001', step: 10 }, trainedMs: 700, spokenMs: 1500 };
const REFUSED: JobEvent = {
  event: 'weights',
  outcome: 'refused',
  weights: { id: '000000002', step: 20 },
  code: 'weights-corrupt',
  reason: 'Tensor "lm_head.weight" is not finite.',
};
const DEAD: JobEvent = {
  event: 'deadletter',
  topic: 'text',
  partition: 0,
  offset: 17,
  code: 'record-not-utf8',
  message: 'The value is not UTF-8 text.',
};
const LAG: JobEvent = {
  event: 'lag',
  lag: 3,
  partitions: [{ topic: 'text', partition: 0, offset: 7, end: 10, lag: 3 }],
};
const SUMMARY: JobEvent = {
  event: 'summary',
  reason: 'interrupted',
  step: 1234,
  steps: 1,
  tokens: 2048,
  seconds: 0.5,
  tokensPerSecond: 4096,
  bitsPerByteTotal: 2.104,
  bytesTotal: 1024,
  checkpoint: '000000002-savepoint',
  lag: 12,
  partitions: [
    { topic: 'text', partition: 0, offset: 7, end: 10, lag: 3 },
    { topic: 'text', partition: 1, offset: 1, end: 10, lag: 9 },
    { topic: 'text', partition: 2, offset: 5, end: 5, lag: 0 },
  ],
  counts: { clean: { kept: { documents: 900 }, dropped: { language: 40, wordCount: 1080 } } },
};
const COUNTS: JobEvent = {
  event: 'counts',
  counts: { clean: { kept: { documents: 9 }, dropped: { wordCount: 1080 } }, fresh: { dropped: { near: 20 } } },
};

function step(number: number, fields: Partial<StepEvent> = {}): StepEvent {
  return {
    event: 'step',
    step: number,
    loss: 4.5,
    bitsPerByte: 2,
    bitsPerByteTotal: 3,
    tokensPerSecond: 4112.4,
    tokens: 2048,
    bytes: 8000,
    lr: 3e-4,
    gradNorm: 1,
    lag: 132,
    skipped: false,
    fault: null,
    attempt: 1,
    ...fields,
  };
}

function of(bitsPerByte: number): SourceBits {
  return { bitsPerByte, bitsPerByteTotal: bitsPerByte + 1, bytesTotal: 1024 };
}

describe('the status of a job', () => {
  it('takes bits per byte over the last hundred steps, each with its bytes', () => {
    const status = new JobStatus();
    expect(status.windowBitsPerByte).toBeNull();
    status.take(step(1, { bitsPerByte: 9, bytes: 1_000_000 }), 0);
    for (let at = 2; at <= 100; at += 1) status.take(step(at, { bitsPerByte: 1, bytes: 100 }), 0);
    status.take(step(101, { bitsPerByte: 3, bytes: 9900 }), 0);
    expect(status.windowBitsPerByte).toBeCloseTo((99 * 100 + 3 * 9900) / (99 * 100 + 9900), 12);
  });

  it('leaves out steps that were undone or had no finite loss', () => {
    const status = new JobStatus();
    status.take(step(1), 0);
    status.take(step(2, { bitsPerByte: null, loss: null }), 0);
    status.take(step(3, { bitsPerByte: 99, skipped: true, fault: 'non-finite-loss' }), 0);
    expect(status.windowBitsPerByte).toBe(2);
  });

  it('says it in words where there is room, shorter where not, and never longer than it may', () => {
    const status = new JobStatus();
    expect(status.line(0, 80)).toBe('waiting for the first step, which takes longest');
    status.take(SAVED, 1000);
    status.take(SAMPLE, 1000);
    status.take(step(1240), 2000);
    expect(status.line(3500, 200)).toBe(
      'step 1,240 · 4,112 tokens/s · 2.000 bits/byte (3.000 overall) · lr 3.0e-4 · lag 132 · saved 2 s ago · step 10 speaks',
    );
    expect(status.line(3500, 90)).toBe(
      'step 1,240  4,112 tok/s  2.000 bpb (3.000)  lr 3.0e-4  lag 132  saved 2 s  voice 10',
    );
    expect(status.line(3500, 20)).toBe('step 1,240  4,112 to');
    status.take(UNSAID, 3000);
    status.take(FRESH, 3000);
    expect(status.line(3500, 200)).toMatch(/ · step 10 speaks · 1\.5 s from text to speech$/);
    expect(status.line(3500, 99)).toMatch(/ {2}voice 10 {2}fresh 1\.5 s$/);
  });

  it('says what operators have done with the data, but not what they kept, also before the first step', () => {
    const status = new JobStatus();
    status.take(COUNTS, 0);
    expect(status.line(0, 200)).toBe('waiting for the first step, which takes longest · dropped 1,100');
    status.take(step(1), 0);
    expect(status.line(0, 200)).toMatch(/ · nobody speaks yet · dropped 1,100$/);
  });

  it('tells bits per byte by topic, where there are several', () => {
    const status = new JobStatus();
    status.take(step(1, { sources: { logs: of(1.5), text: of(2) } }), 0);
    expect(status.line(0, 200)).toContain(' · logs 1.500, text 2.000 · ');
    expect(status.line(0, 100)).toContain('  logs 1.500 text 2.000');
    const many = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((topic) => [topic, of(1)]));
    status.take(step(2, { sources: many }), 0);
    expect(status.line(0, 200)).toContain('d 1.000, 2 more ·');
  });

  it('names the partition that is furthest behind, where there are several', () => {
    const status = new JobStatus();
    const partitions = [9, 0].map((lag, partition) => ({ topic: 'text', partition, offset: 1, end: 1 + lag, lag }));
    status.take(step(1), 0);
    status.take({ event: 'lag', lag: 9, partitions }, 0);
    expect(status.line(0, 200)).toContain('· lag 9 (text/0 9) ·');
    status.take({ event: 'lag', lag: 9, partitions: partitions.slice(0, 1) }, 0);
    expect(status.line(0, 200)).toContain('· lag 9 ·');
    status.take({ event: 'lag', lag: 0, partitions: partitions.slice(1) }, 0);
    expect(status.line(0, 200)).toContain('· lag 0 ·');
  });

  it('counts as idle when no step has come for much longer than one takes', () => {
    const status = new JobStatus();
    status.take(step(1), 0);
    expect(status.line(4000, 200)).toContain('tokens/s');
    expect(status.line(12_000, 200)).toContain('idle for 12 s');
    // A step of this job takes 20 s.
    status.take(step(2, { tokensPerSecond: 100 }), 0);
    expect(status.line(60_000, 200)).toContain('tokens/s');
  });
});

describe('a reporter', () => {
  let nowMs: number;
  let out: PassThrough;
  let err: PassThrough;

  beforeEach(() => {
    vi.useFakeTimers();
    nowMs = 0;
    out = new PassThrough();
    err = new PassThrough();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const reporter = (mode: 'tty' | 'plain' | 'json'): Reporter =>
    createReporter({ mode, out, err, clock: { nowMs: () => nowMs } });
  const pass = (ms: number): void => {
    nowMs += ms;
    vi.advanceTimersByTime(ms);
  };
  const written = (): string => String(out.read() ?? '');

  it('prints every event as it is, one a line, in JSON', () => {
    const events = [READY, step(1), LAG, COUNTS, SAVED, SAMPLE, DEAD, SUMMARY];
    const json = reporter('json');
    for (const event of events) json.event(event);
    json.warn('careful');
    json.close();
    const lines = written().trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual(events);
    expect(String(err.read())).toBe('millrace: careful\n');
  });

  it('prints the first steps without a terminal, and then one in ten seconds', () => {
    const plain = reporter('plain');
    for (let at = 1; at <= 250; at += 1) {
      plain.event(step(at));
      pass(100);
    }
    const steps = written().match(/^step \S+/gm);
    expect(steps).toEqual(['step 1', 'step 2', 'step 3', 'step 103', 'step 203']);
  });

  it('prints all other events without a terminal', () => {
    const plain = reporter('plain');
    for (const event of [
      READY,
      SAVED,
      LAG,
      COUNTS,
      SAMPLE,
      UNSAID,
      FRESH,
      REFUSED,
      DEAD,
      step(7, { skipped: true, loss: null }),
      SUMMARY,
    ])
      plain.event(event);
    expect(written()).toMatchInlineSnapshot(`
      "Job ab12cd34 starts anew: graph sotu, preset small (12.3M parameters; compiled, bf16, with XLA, 2 threads), data in .millrace
      checkpoint 000000001 (timer)  2.0 MB in 1.2 s at step 10
      step 10 says  The Congress ▸ of the United States ␛[2J
      nobody says  The Congress: deadline
      step 10 speaks, 1.5 s after the newest text that it has read came in (trained on after 0.7 s)
      The weights of step 20 (000000002) do not speak; those before them go on: Tensor "lm_head.weight" is not finite.
      dead letter text/0@17 record-not-utf8  The value is not UTF-8 text.
      step 7  skipped: loss or gradient was not finite (loss –, gradient 1.000)
      Stopped at step 1,234.
      This run: 1 step, 2,048 tokens in 0.5 s (4,096 tokens/s).
      Whole job: 2.104 bits per byte over 1.0 KB, each predicted before it was learnt.
      Not trained yet: 12 records (text/0 3, text/1 9).
      clean kept 900 documents.
      clean dropped 1,120: 1,080 wordCount, 40 language.
      Saved as checkpoint 000000002-savepoint. The next millrace up goes on from there.
      "
    `);
  });

  it('redraws the live line in place, at most ten times a second', () => {
    const live = reporter('tty');
    for (let at = 1; at <= 100; at += 1) {
      live.event(step(at));
      pass(10);
    }
    const text = written();
    const drawn = text.split('\r\u001b[2K');
    expect(drawn.length - 1).toBeLessThanOrEqual(11);
    expect(drawn.at(-1)).toMatch(/^step (9\d|100) /);
    expect(text).not.toContain('\n');
    for (const line of drawn) expect(line.length).toBeLessThan(80);
    live.close();
  });

  it('lets ages grow on the live line while nothing happens', () => {
    const live = reporter('tty');
    live.event(SAVED);
    live.event(step(1));
    written();
    pass(30_000);
    expect(written().split('\r\u001b[2K').at(-1)).toMatch(/idle 30 s .* saved 30 s/);
    live.close();
  });

  it('writes samples and warnings above the live line, and shows it again', () => {
    const live = reporter('tty');
    live.event(step(1));
    live.event(SAMPLE);
    live.warn('careful');
    live.event(SAVEPOINT);
    expect(screen(written())).toEqual([
      'step 10 says  The Congress ▸ of the United States ␛[2J',
      'checkpoint 000000002-savepoint (savepoint)  2.0 MB in 1.2 s at step 10',
      expect.stringMatching(/^step 1 .* saved 0 s/),
    ]);
    expect(String(err.read())).toBe('careful\n');
    live.close();
  });

  it('ends with the summary in the place of the live line', () => {
    const live = reporter('tty');
    live.event(step(1));
    live.event(SAVED);
    live.event(SUMMARY);
    live.close();
    live.close();
    pass(5000);
    const lines = screen(written());
    expect(lines[0]).toBe('Stopped at step 1,234.');
    expect(lines.at(-1)).toBe('');
  });
});

/** What a terminal shows of a text that erases lines. */
function screen(text: string): string[] {
  return text.split('\n').map((line) => line.split('\r\u001b[2K').at(-1) ?? '');
}
