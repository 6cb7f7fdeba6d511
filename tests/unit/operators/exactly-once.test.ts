import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { logLedger } from '../../../infra/log-ledger.ts';
import { batch } from '../../../operators/batch.ts';
import { checkpoint } from '../../../operators/checkpoint.ts';
import { decode } from '../../../operators/decode.ts';
import type { Element, Source } from '../../../operators/flow.ts';
import { filter } from '../../../operators/filter.ts';
import { ingest } from '../../../operators/ingest.ts';
import type { CheckpointStore, DeadLetter } from '../../../operators/ports.ts';
import { publish, reportRecord } from '../../../operators/publish.ts';
import { replay } from '../../../operators/replay.ts';
import type { ReplayOptions } from '../../../operators/replay.ts';
import { surprise } from '../../../operators/surprise.ts';
import { tokenize } from '../../../operators/tokenize.ts';
import { trainStep } from '../../../operators/train-step.ts';
import type { CheckpointReport, StepReport } from '../../../operators/types.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';
import { fakeTrainer } from '../../support/fakes.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryCheckpoints, MemoryDeadLetters } from '../../support/memory-stores.ts';
import { noRules } from '../../support/no-rules.ts';
import { settle } from '../../support/settle.ts';

const STUCK_AFTER_MS = 5000;

/** What outlives a process. */
interface World {
  readonly log: MemoryLog;
  readonly checkpoints: MemoryCheckpoints;
  readonly deadLetters: MemoryDeadLetters;
  /** Turns of the event loop that the next thing takes. */
  readonly slowness: () => number;
}

interface Settings {
  readonly partitions: number;
  readonly window: number;
  readonly everyItems: number;
  /** With a wait the last batch is closed by ticks; without, what does not fill one stays untrained. */
  readonly maxWait: number | undefined;
  /** What is trained on again. */
  readonly again: Pick<ReplayOptions, 'share' | 'stepsPerBatch' | 'memory'>;
  readonly metrics: string;
}

/** One process, from its start to the moment when it is killed without warning. */
class Life {
  readonly reports: StepReport[] = [];
  readonly errors: unknown[] = [];
  leastInFlight = 0;
  #source: Source | null = null;
  #kill: () => void = () => {};

  async start(world: World, { partitions, window, everyItems, maxWait, again, metrics }: Settings): Promise<void> {
    const { checkpoints, deadLetters, slowness } = world;
    const log = world.log.another();
    const produce = log.produce.bind(log);
    log.produce = async (...args) => {
      await settle(slowness());
      const produced = await produce(...args);
      await settle(slowness());
      return produced;
    };
    let isAlive = true;
    const store: CheckpointStore = {
      put: async (cut) => {
        await settle(slowness());
        return isAlive ? checkpoints.put(cut) : Promise.reject(new Error('killed'));
      },
      list: () => checkpoints.list(),
      read: (id) => checkpoints.read(id),
      latest: () => checkpoints.latest(),
      prune: (keep) => checkpoints.prune(keep),
    };
    const trainer = fakeTrainer({ delayMs: 1, wait: () => settle(slowness()) });
    let nowMs = 0;
    const subscription = log
      .topic('text')
      .pipe(
        ingest({
          window,
          restore: await store.latest(),
          ledger: logLedger(log, 'ledger'),
          clock: { nowMs: () => (nowMs += 1) },
          ...(maxWait === undefined ? {} : { tickEvery: 3 }),
        }),
        decode({ deadLetters }),
        // Drops nothing; what it counts is to be the same in every report.
        filter(noRules),
      )
      .pipe(
        tokenize(byteTokenizer),
        batch({ rows: 2, context: partitions + 2, endOfText: 256, ...(maxWait === undefined ? {} : { maxWait }) }),
        replay({ endOfText: 256, ...again }),
        trainStep(trainer, { depth: 1 + (slowness() % 3) }),
        publish<StepReport>({ uid: 'publish', log, topic: metrics, toRecord: reportRecord }),
        surprise({
          uid: 'surprise',
          jobId: 'j',
          log,
          tokenizer: byteTokenizer,
          topic: `${metrics}-surprise`,
          window: 3,
          tokens: 2,
          alerts: { topic: `${metrics}-alerts` },
          rules: [{ name: 'odd', minBytes: 0, percentile: 50 }],
          drift: { blockBytes: 2, reference: 2, threshold: 1, both: true },
        }),
        checkpoint(store, { everyItems, keep: 2 }),
      )
      .subscribe({ next: (element) => this.#take(element), error: (error: unknown) => this.errors.push(error) });
    this.#kill = () => {
      isAlive = false;
      subscription.unsubscribe();
    };
    this.#closeLog = () => log.close();
  }

  #closeLog: () => Promise<void> = async () => {};

  async kill(): Promise<void> {
    this.#kill();
    await this.#closeLog();
  }

  askForSavepoint(): void {
    this.#source?.requestCut('savepoint');
  }

  get workBytes(): number {
    return this.#source?.window.workBytes ?? NaN;
  }

  #take(element: Element<StepReport | CheckpointReport>): void {
    this.#source = element.source;
    this.leastInFlight = Math.min(this.leastInFlight, element.source.window.inFlightBytes);
    if (element.kind === 'item' && element.value.event === 'step') this.reports.push(element.value);
  }

  /** Returns when so many tokens of the job have been trained on. */
  untilTrained(tokens: number): Promise<void> {
    return this.#until(() => (this.reports.at(-1)?.totals.tokens ?? 0) >= tokens, `${tokens} tokens`);
  }

  /** Returns when so many records stand among the dead letters. */
  untilRejected({ letters }: MemoryDeadLetters, records: number): Promise<void> {
    return this.#until(() => placesOf(letters).size >= records, `${records} dead letters`);
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    const startMs = performance.now();
    while (!isSo()) {
      if (this.errors.length > 0) throw this.errors[0];
      if (performance.now() - startMs > STUCK_AFTER_MS)
        throw new Error(`Stuck before ${what}, at ${JSON.stringify(this.reports.at(-1)?.totals)}.`);
      await settle();
    }
  }
}

/** Records of dead letters; a record that was rejected before a crash and again after it counts once. */
function placesOf(letters: readonly DeadLetter[]): Set<string> {
  return new Set(letters.map(({ at }) => `${at.partition}/${at.offset}`));
}

const someText = fc.oneof(
  { weight: 1, arbitrary: fc.constant('') },
  { weight: 9, arbitrary: fc.string({ maxLength: 12 }) },
);
const someLife = fc.record({
  texts: fc.array(fc.tuple(someText, fc.nat({ max: 2 })), { maxLength: 10 }),
  turns: fc.nat({ max: 60 }),
  savepointAfter: fc.option(fc.nat({ max: 40 })),
});
const someStory = fc.record({
  partitions: fc.integer({ min: 1, max: 3 }),
  window: fc.constantFrom(1, 60, 100_000),
  everyItems: fc.integer({ min: 1, max: 5 }),
  maxWait: fc.constantFrom(undefined, 5),
  again: fc.constantFrom<Settings['again']>(
    { share: 0 },
    { share: 0.3, memory: 200 },
    { share: 0, stepsPerBatch: 1 },
    { share: 0.1, stepsPerBatch: 'auto' },
  ),
  lives: fc.array(someLife, { minLength: 1, maxLength: 6 }),
  slowness: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 17 }),
});

describe('a pipeline that is killed again and again', () => {
  it('trains and publishes as one that never was, to the bit', async () => {
    await fc.assert(
      fc.asyncProperty(someStory, async ({ lives, slowness, ...shape }) => {
        let asked = 0;
        const world: World = {
          log: new MemoryLog(),
          checkpoints: new MemoryCheckpoints(),
          deadLetters: new MemoryDeadLetters(),
          slowness: () => slowness[asked++ % slowness.length] ?? 0,
        };
        const settings = { ...shape, metrics: 'metrics' };
        await world.log.createTopic('text', { partitions: shape.partitions });
        for (const topic of ['metrics', 'reference']) {
          for (const suffix of ['', '-surprise', '-alerts']) await world.log.createTopic(`${topic}${suffix}`);
        }

        const told = new Map<number, StepReport>();
        const note = ({ reports }: Life): void => {
          for (const report of reports) {
            expect(report).toEqual(told.get(report.step) ?? report);
            told.set(report.step, report);
          }
        };
        let tokens = 0;
        let empty = 0;
        for (const { texts, turns, savepointAfter } of lives) {
          const life = new Life();
          await life.start(world, settings);
          for (const [text, partition] of texts) {
            await world.log.produce('text', [{ value: text, partition: partition % shape.partitions, timestampMs: 1 }]);
            if (text === '') empty += 1;
            else tokens += Buffer.byteLength(text) + 1;
            await settle(world.slowness());
          }
          for (let turn = 0; turn < turns; turn++) {
            if (turn === savepointAfter) life.askForSavepoint();
            await settle();
          }
          await life.kill();
          expect([life.errors, life.leastInFlight]).toEqual([[], 0]);
          note(life);
        }

        const size = 2 * (shape.partitions + 2);
        const toTrain = shape.maxWait === undefined ? tokens - (tokens % size) : tokens;
        const last = new Life();
        await last.start(world, settings);
        // A life that has nothing left to train on says nothing of what was.
        if (told.get(told.size)?.totals.tokens !== toTrain) await last.untilTrained(toTrain);
        await last.untilRejected(world.deadLetters, empty);
        await settle(5);
        expect(last.errors).toEqual([]);
        note(last);
        await last.kill();

        const undisturbed = { ...world, checkpoints: new MemoryCheckpoints(), deadLetters: new MemoryDeadLetters() };
        const reference = new Life();
        await reference.start(undisturbed, { ...settings, metrics: 'reference' });
        await reference.untilTrained(toTrain);
        await reference.untilRejected(undisturbed.deadLetters, empty);
        await settle(5);
        expect(reference.workBytes).toBe(0);
        await reference.kill();

        const steps = [...told.values()].toSorted((one, other) => one.step - other.step);
        const [written, repeated] = [await published(world.log, 'metrics'), reference.reports];
        // Steps of the past may still be under way when all text was trained.
        const compared = Math.min(steps.length, repeated.length);
        const [ours, theirs] = [steps, repeated].map((all) => all.filter((step) => !step.replayed));
        expect(ours).toEqual(theirs);
        expect(steps.every(({ counts }) => (counts?.['filter']?.['kept']?.['documents'] ?? 0) > 0)).toBe(true);
        expect(steps.slice(0, compared)).toEqual(repeated.slice(0, compared));
        expect(written.slice(0, compared)).toEqual(
          steps.slice(0, compared).map((step) => JSON.stringify({ ...step, exam: undefined })),
        );
        for (const suffix of ['-surprise', '-alerts']) {
          expect(await published(world.log, `metrics${suffix}`)).toEqual(
            await published(world.log, `reference${suffix}`),
          );
        }
        expect(recordsIn(steps).length).toBe(new Set(recordsIn(steps)).size);
        expect(placesOf(world.deadLetters.letters)).toEqual(placesOf(undisturbed.deadLetters.letters));
      }),
      // To shrink what is stuck would take longer than anybody waits.
      { numRuns: 200, endOnFailure: true },
    );
    // Two hundred stories, on a machine that may be busy.
  }, 120_000);
});

async function published(log: MemoryLog, topic: string): Promise<string[]> {
  const [offsets] = await log.offsets(topic);
  const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
  const records = await reader.poll({ maxRecords: offsets?.end ?? 0 });
  return records.map(({ value }) => Buffer.from(value ?? []).toString());
}

/** Every record that the steps name; one that runs on into the next step is counted where it begins. */
function recordsIn(steps: readonly StepReport[]): string[] {
  const names: string[] = [];
  for (const { spans } of steps) {
    for (const { partition, from, to } of spans) {
      for (let offset = from; offset < to; offset++) {
        const name = `${partition}/${offset}`;
        if (names.at(-1) !== name) names.push(name);
      }
    }
  }
  return names;
}
