import * as fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { surprise, surpriseKind } from '../../../operators/surprise.ts';
import type { SurpriseOptions } from '../../../operators/surprise.ts';
import type { Exam, Piece, StepReport } from '../../../operators/types.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';
import { TestSource, asStored } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const source = new TestSource();
const BIT = Math.LN2;

/** A part of a document: its text, what each byte of it took in bits, and whether it is the first and the last. */
interface Part {
  readonly offset: number;
  readonly text: string;
  readonly bits: readonly number[];
  readonly begins?: boolean;
  readonly ends?: boolean;
  readonly topic?: string;
  readonly key?: string;
}

/** The exam of a batch with these parts; the end of a document has the last of the bits. */
function examOf(parts: readonly Part[]): Exam {
  const targets: number[] = [];
  const losses: number[] = [];
  const pieces = parts.map(({ offset, text, bits, begins = true, ends = true, topic = 'text', ...named }): Piece => {
    const from = targets.length;
    targets.push(...Buffer.from(text), ...(ends ? [byteTokenizer.endOfText] : []));
    losses.push(...bits.map((each) => each * BIT));
    const at = { topic, partition: 0, offset };
    return { at, ...named, timestampMs: 100 + offset, from, to: targets.length, bytes: text.length, begins, ends };
  });
  const lossMask = new Float32Array(targets.length).fill(1);
  return { targets: Int32Array.from(targets), lossMask, losses: Float32Array.from(losses), pieces };
}

function report(step: number, parts: readonly Part[], changes: Partial<StepReport> = {}): Element<StepReport> {
  return source.item({
    event: 'step',
    step,
    loss: 1,
    bitsPerByte: 1,
    gradNorm: 1,
    lr: 1,
    tokens: 1,
    bytes: 1,
    totals: { tokens: 1, bytes: 1, bits: 1 },
    skipped: false,
    fault: null,
    attempt: 1,
    spans: [],
    timestampMs: 100,
    exam: examOf(parts),
    ...changes,
  });
}

async function logWith(): Promise<MemoryLog> {
  const log = new MemoryLog();
  for (const topic of ['out', 'alerts']) await log.createTopic(topic);
  return log;
}

function optionsOf(log: MemoryLog, changes: Partial<SurpriseOptions> = {}): SurpriseOptions {
  const fixed = { uid: 'surprise', jobId: 'job', log, tokenizer: byteTokenizer, topic: 'out', window: 100, tokens: 2 };
  return { ...fixed, alerts: { topic: 'alerts' }, rules: [], ...changes };
}

async function recordsOf(log: MemoryLog, topic = 'out'): Promise<Record<string, unknown>[]> {
  const [end] = await log.offsets(topic);
  const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
  const records = end && end.end > 0 ? await reader.poll({ maxRecords: end.end }) : [];
  return records.map(({ key, value }) => ({
    recordKey: Buffer.from(key ?? []).toString(),
    ...JSON.parse(Buffer.from(value ?? []).toString()),
  }));
}

/** Documents that took so many bits for their one byte, one a step. */
function documents(bits: readonly number[], first = 0): Element<StepReport>[] {
  return bits.map((each, at) => report(at + 1, [{ offset: first + at, text: 'x', bits: [each, 0] }]));
}

describe('surprise', () => {
  it('says of each document what it took, and which tokens most, when the step of its last one is done', async () => {
    const log = await logWith();
    const flow = [
      source.restore(),
      report(1, [
        { offset: 3, key: 'host', text: 'ab', bits: [1, 4, 0.5] },
        { offset: 4, text: 'cd', bits: [2, 3], ends: false },
      ]),
      source.tick(1),
      report(2, [{ offset: 4, text: 'e', bits: [8, 5], begins: false }]),
    ];
    const output = await lastValueFrom(from(flow).pipe(surprise(optionsOf(log)), toArray()));
    expect(output).toEqual(flow);
    const unranked = { event: 'surprise', percentile: null, sigma: null };
    expect(await recordsOf(log)).toEqual([
      {
        ...unranked,
        recordKey: 'host',
        at: { topic: 'text', partition: 0, offset: 3 },
        key: 'host',
        timestampMs: 103,
        step: 1,
        bytes: 2,
        bits: expect.closeTo(5.5, 5),
        bitsPerByte: expect.closeTo(2.75, 5),
        tokens: [
          { text: 'b', bits: expect.closeTo(4, 5) },
          { text: 'a', bits: expect.closeTo(1, 5) },
        ],
      },
      {
        ...unranked,
        recordKey: 'text/0@4',
        at: { topic: 'text', partition: 0, offset: 4 },
        key: null,
        timestampMs: 104,
        step: 2,
        bytes: 3,
        bits: expect.closeTo(18, 5),
        bitsPerByte: expect.closeTo(6, 5),
        tokens: [
          { text: 'e', bits: expect.closeTo(8, 5) },
          { text: '', bits: expect.closeTo(5, 5) },
        ],
      },
    ]);
  });

  it('leaves out what is not wholly an exam: parts without a finite loss, or from before, and what was learnt before', async () => {
    const log = await logWith();
    const flow = [
      source.restore(),
      report(1, [
        { offset: 1, text: 'a', bits: [1, 1], begins: false },
        { offset: 2, text: 'b', bits: [1], ends: false },
      ]),
      report(2, [{ offset: 2, text: 'c', bits: [NaN], begins: false, ends: false }], { skipped: true, loss: NaN }),
      report(3, [
        { offset: 2, text: 'd', bits: [1, 1], begins: false },
        { offset: 4, text: 'f', bits: [1, 1] },
        { offset: 5, text: '', bits: [1] },
      ]),
      source.item(unexamined(report(4, []))),
    ];
    await lastValueFrom(from(flow).pipe(surprise(optionsOf(log))));
    expect((await recordsOf(log)).map(({ at }) => at)).toEqual([{ topic: 'text', partition: 0, offset: 4 }]);
  });

  it('ranks documents among those of their topic before them, once there are enough', async () => {
    const log = await logWith();
    const before = Array.from({ length: 100 }, (_, at) => 1 + (at % 2));
    const flow = [
      source.restore(),
      ...documents([...before, 3.5, 1]),
      report(200, [{ offset: 500, topic: 'other', text: 'x', bits: [9, 0] }]),
    ];
    await lastValueFrom(from(flow).pipe(surprise(optionsOf(log))));
    const ranks = (await recordsOf(log)).map(({ percentile, sigma }) => ({ percentile, sigma }));
    expect(ranks.slice(98, 100)).toEqual([
      { percentile: null, sigma: null },
      { percentile: null, sigma: null },
    ]);
    expect(ranks[100]).toEqual({ percentile: 100, sigma: expect.closeTo(4, 4) });
    expect(ranks[101]).toEqual({ percentile: 0, sigma: expect.any(Number) });
    expect(ranks[102]).toEqual({ percentile: null, sigma: null });
  });

  it('raises an alert of what meets all that a rule names', async () => {
    const log = await logWith();
    const rules = [
      { name: 'loud', minBytes: 0, bitsPerByte: 3 },
      { name: 'rare', minBytes: 0, percentile: 99, sigma: 3 },
      { name: 'long', minBytes: 2, bitsPerByte: 1 },
      { name: 'elsewhere', topic: 'other', minBytes: 0, bitsPerByte: 1 },
    ];
    const before = Array.from({ length: 100 }, (_, at) => 1 + (at % 2));
    const flow = [source.restore(), ...documents([...before, 3.5])];
    await lastValueFrom(from(flow).pipe(surprise(optionsOf(log, { rules }))));
    const common = { event: 'alert', job: 'job', state: 'raised', subject: 'text/0@100', atMs: 200, step: 101 };
    const figures = { bytes: 1, bitsPerByte: expect.closeTo(3.5), percentile: 100, sigma: expect.closeTo(4, 4) };
    const message = 'Record text/0@100 took 3.50 bits per byte, 4.0 σ above its source.';
    expect(await recordsOf(log, 'alerts')).toEqual(
      ['loud', 'rare'].map((rule) => {
        const id = `job/surprise/${rule}/text/0@100`;
        return { ...common, recordKey: id, id, rule, figures, message };
      }),
    );
  });

  it('raises an alert when a topic moves, and clears it when it is back', async () => {
    const log = await logWith();
    const drift = { blockBytes: 10, reference: 4, threshold: 8, both: false };
    const levels = [2, 2.1, 2, 2.1, 2.05, 4, 4, 4, ...Array.from({ length: 40 }, () => 2.05)];
    const flow = levels.map((level, at) => {
      const figures = { tokens: 1, bytes: 10, bits: level * 10 };
      const sources = { text: { ...figures, window: figures, totals: figures } };
      return report(at + 1, [], { sources, timestampMs: at });
    });
    await lastValueFrom(from([source.restore(), ...flow]).pipe(surprise(optionsOf(log, { drift }))));
    const alerts = await recordsOf(log, 'alerts');
    expect(alerts.map(({ state, subject, rule, step }) => ({ state, subject, rule, step }))).toEqual([
      { state: 'raised', subject: 'text', rule: 'drift', step: 7 },
      { state: 'cleared', subject: 'text', rule: 'drift', step: expect.any(Number) },
    ]);
    expect(new Set(alerts.map(({ id }) => id))).toEqual(new Set(['job/surprise/drift/text']));
  });

  it('goes on from any cut as if there had been none, to the bit', async () => {
    const bits = fc.array(fc.double({ min: 0, max: 20, noNaN: true }), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(bits, fc.nat(), fc.nat({ max: 5 }), async (values, place, again) => {
        const settings = {
          window: 10,
          rules: [{ name: 'high', minBytes: 0, percentile: 80 }],
          drift: { blockBytes: 1, reference: 2, threshold: 1, both: true },
        };
        const flow = values.map((each, at) => {
          const figures = { tokens: 1, bytes: 1, bits: each };
          const sources = { text: { ...figures, window: figures, totals: figures } };
          const halves = [
            { offset: at, text: 'x', bits: [each, each / 3], begins: at === 0 },
            { offset: at + 1, text: 'y', bits: [each / 2], ends: false },
          ];
          return report(at + 1, halves, { sources });
        });
        const [whole, cut] = [await logWith(), await logWith()];
        await lastValueFrom(from([source.restore(), ...flow]).pipe(surprise(optionsOf(whole, settings))));
        const at = place % (flow.length + 1);
        const barrier = source.barrier();
        const before = [source.restore(), ...flow.slice(0, at), barrier, ...flow.slice(at, at + again)];
        await lastValueFrom(from(before).pipe(surprise(optionsOf(cut, settings))));
        const after = [source.restore(asStored(barrier.basket)), ...flow.slice(at)];
        await lastValueFrom(from(after).pipe(surprise(optionsOf(cut, settings))));
        for (const topic of ['out', 'alerts'])
          expect(await recordsOf(cut, topic)).toEqual(await recordsOf(whole, topic));
      }),
      { numRuns: 60 },
    );
  });

  it('ends with its source, the log, or a state that can not be read', async () => {
    const log = await logWith();
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const failing = cold<Element<StepReport>>('--#');
      expectObservable(failing.pipe(surprise(optionsOf(log)))).toBe('--#');
      expectSubscriptions(failing.subscriptions).toBe('^-!');
      expectObservable(cold<Element<StepReport>>('-|').pipe(surprise(optionsOf(log)))).toBe('-|');
      const flow = cold<Element<StepReport>>('---');
      expectObservable(flow.pipe(surprise(optionsOf(log))), '^-!');
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
    const missing = from(documents([1])).pipe(surprise(optionsOf(log, { topic: 'none' })));
    await expect(lastValueFrom(missing)).rejects.toMatchObject({ code: 'topic-missing' });
    const junk = from([source.restore({ surprise: { state: 'junk' } })]).pipe(surprise(optionsOf(log)));
    await expect(lastValueFrom(junk)).rejects.toMatchObject({ code: 'state-invalid' });
  });
});

describe('the kind', () => {
  it('writes to the topic of alerts where something can raise one', () => {
    expect(topicsOf({})).toEqual(['out']);
    expect(topicsOf({ drift: {} })).toEqual(['out', 'alerts']);
    expect(topicsOf({ rules: [{ name: 'a', sigma: 6 }], alerts: 'bells' })).toEqual(['out', 'bells']);
  });

  it('refuses a rule that would meet every document', () => {
    const refused = surpriseKind.config.safeParse({ topic: 'out', rules: [{ name: 'a' }] });
    expect(refused.error?.issues[0]?.message).toContain('bitsPerByte, percentile, sigma');
  });

  it('begins empty in a job over another log', () => {
    const snapshot = { state: {} };
    expect(surpriseKind.forked('s', snapshot, true)).toBe(snapshot);
    expect(surpriseKind.forked('s', snapshot, false)).toBeNull();
  });
});

function topicsOf(config: object): readonly string[] {
  return surpriseKind.topicsOf(surpriseKind.config.parse({ topic: 'out', ...config }));
}

function unexamined(element: Element<StepReport>): StepReport {
  if (element.kind !== 'item') throw new Error('A mark has no value.');
  const { exam: _exam, ...value } = element.value;
  return value;
}
