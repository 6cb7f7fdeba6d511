import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { openEmbeddedLog, openKafkaLog } from '../../infra/index.ts';
import type { Coordinates, Position, TopicLog } from '../../operators/index.ts';
import { currentJob, dataFolder } from '../../pipelines/job/job-folder.ts';
import { jobGraph } from './job-graph.ts';
import { Millrace } from './millrace.ts';
import type { Finished } from './millrace.ts';
import { randomTexts } from './random-texts.ts';
import { readTopic } from './read-topic.ts';

const PROMPT_PARTITIONS = 2;
const MAX_TOKENS = 40;
/** Share of the prompts that a tombstone follows, early or late. */
const TAKEN_BACK = 0.15;
const ANSWERED_WITHIN_MS = 120_000;

/** A part of an answer, as a reader has it. */
interface Part {
  readonly id: string;
  readonly at: Coordinates;
  readonly index: number;
  readonly text: string;
  readonly finish: string | null;
}

const partSchema: z.ZodType<Part> = z.object({
  id: z.string(),
  at: z.object({ topic: z.string(), partition: z.number(), offset: z.number() }),
  index: z.number(),
  text: z.string(),
  finish: z.string().nullable(),
});

/** What became of a prompt, or ought to. */
interface Outcome {
  readonly id: string;
  readonly at: Coordinates | undefined;
  /** Parts from 0 on without a gap, the last with a finish and no other, all of the same prompt, and not too many. */
  readonly isWhole: boolean;
}

interface Asked {
  readonly at: Coordinates;
  readonly maxTokens: number;
}

/** A job that answers prompts, and those who ask. Its committed answers are read as others would read them. */
export class SpeakingJob {
  readonly #log: TopicLog;
  readonly #dataDir: string;
  readonly #args: readonly string[];
  readonly #random: () => number;
  readonly #asked = new Map<string, Asked>();

  /** Without brokers on the embedded log. */
  static async begin(folder: string, random: () => number, brokers: string | null): Promise<SpeakingJob> {
    const dataDir = join(folder, brokers ? 'kafka' : 'embedded');
    await mkdir(dataDir);
    const graph = join(dataDir, 'graph.yaml');
    const speaking = jobGraph({ name: 'speaking', speaks: true, checkpointEvery: '1s' })
      .replace('prompts: {}', `prompts: { partitions: ${PROMPT_PARTITIONS} }`)
      .replace('from: latest', 'from: earliest');
    await writeFile(graph, speaking);
    const log = brokers
      ? await openKafkaLog({ brokers: [brokers], patienceMs: 60_000 })
      : await openEmbeddedLog(dataFolder(dataDir).log);
    await log.createTopic('text');
    await log.createTopic('prompts', { partitions: PROMPT_PARTITIONS });
    await log.createTopic('generations');
    const texts = randomTexts(random, 40).map((value) => ({ value }));
    await log.produce('text', texts);
    const place = ['--data-dir', dataDir, ...(brokers ? ['--brokers', brokers] : [])];
    return new SpeakingJob(log, random, dataDir, ['up', graph, '--json', ...place]);
  }

  private constructor(log: TopicLog, random: () => number, dataDir: string, args: readonly string[]) {
    this.#log = log;
    this.#random = random;
    this.#dataDir = dataDir;
    this.#args = args;
  }

  /** Runs and kills it: every third time on its way up, else in the midst of its answers. Prompts come all the while. */
  async killOften(kills: number): Promise<void> {
    for (let kill = 0; kill < kills; kill += 1) {
      await this.#ask(4);
      const run = new Millrace(this.#args);
      if (kill % 3 > 0) await run.line(isAnswer);
      const asking = this.#ask(10);
      await sleep(this.#random() * (kill % 3 > 0 ? 800 : 4000));
      run.kill('SIGKILL');
      await Promise.all([run.finished, asking]);
    }
  }

  /** Runs it until every prompt has an answer, then stops it; the fault comes while it answers. */
  async answerTheRest(fault: () => Promise<void> = async () => {}): Promise<Finished> {
    // There may be nothing left to answer otherwise.
    await this.#ask(4);
    const run = new Millrace(this.#args);
    await run.line(isAnswer);
    const asking = this.#ask(40);
    await fault();
    await asking;
    const deadlineMs = performance.now() + ANSWERED_WITHIN_MS;
    while (
      performance.now() < deadlineMs &&
      new Set((await this.parts()).map(({ id }) => id)).size < this.#asked.size
    ) {
      await sleep(300);
    }
    // Time to say something twice.
    await sleep(500);
    run.kill('SIGINT');
    return run.finished;
  }

  /** One whole answer for each prompt. */
  expected(): readonly Outcome[] {
    return inOrder([...this.#asked].map(([id, { at }]) => ({ id, at, isWhole: true })));
  }

  async outcome(): Promise<readonly Outcome[]> {
    const answers = new Map<string, Part[]>();
    for (const part of await this.parts()) answers.set(part.id, [...(answers.get(part.id) ?? []), part]);
    return inOrder(
      [...answers].map(([id, parts]) => ({ id, at: parts[0]?.at, isWhole: isWhole(parts, this.#asked.get(id)) })),
    );
  }

  /** All parts of committed answers. */
  async parts(): Promise<readonly Part[]> {
    return (await readTopic(this.#log, 'generations')).map(({ value }) => readPart(String(value)));
  }

  /** Where the group of its answers stands. */
  async positions(): Promise<readonly Position[]> {
    const { id = '' } = currentJob(dataFolder(this.#dataDir)) ?? {};
    return this.#log.committed(`${id}/answers`, 'prompts');
  }

  /** Behind the last prompt of each partition. */
  ends(): readonly Position[] {
    return Array.from({ length: PROMPT_PARTITIONS }, (_, partition) => {
      const own = [...this.#asked.values()].filter(({ at }) => at.partition === partition);
      return { topic: 'prompts', partition, offset: Math.max(...own.map(({ at }) => at.offset)) + 1 };
    });
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  /** Prompts of several lengths, so that later ones are done first; some are taken back, and some are none. */
  async #ask(count: number): Promise<void> {
    for (let prompt = 0; prompt < count; prompt += 1) {
      const [id, partition] = [`p${this.#asked.size}`, Math.floor(this.#random() * PROMPT_PARTITIONS)];
      const maxTokens = 1 + Math.floor(this.#random() * MAX_TOKENS);
      const poison = this.#random();
      if (poison < 0.2) {
        await this.#log.produce('prompts', [{ value: poison < 0.1 ? null : '{"no": "prompt"}', partition }]);
      }
      const value = JSON.stringify({ prompt: 'the mill', id, maxTokens, seed: prompt });
      const [at] = await this.#log.produce('prompts', [{ key: id, value, partition }]);
      if (at) this.#asked.set(id, { at, maxTokens });
      await sleep(this.#random() * 100);
      if (this.#random() < TAKEN_BACK) await this.#log.produce('prompts', [{ key: id, value: null, partition }]);
    }
  }
}

export function readPart(json: string): Part {
  return partSchema.parse(JSON.parse(json));
}

function isAnswer(line: string): boolean {
  return line.includes('"event":"generation"');
}

function isWhole(parts: readonly Part[], asked: Asked | undefined): boolean {
  const last = parts.length - 1;
  return (
    parts.length <= (asked?.maxTokens ?? 0) &&
    parts.every(({ index, finish, at }, place) => {
      return index === place && (finish !== null) === (place === last) && at.offset === asked?.at.offset;
    })
  );
}

function inOrder(outcomes: readonly Outcome[]): readonly Outcome[] {
  return outcomes.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
