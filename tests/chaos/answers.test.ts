import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startBroker } from '../../infra/kafka/broker/broker.mjs';
import type { Broker } from '../../infra/kafka/broker/broker.mjs';
import { consoleConsume } from '../support/kafka-tools.ts';
import { printedSeed, randomFrom } from '../support/random.ts';
import { SpeakingJob, readPart } from '../support/speaking-job.ts';

/** On each of the two logs. */
const KILLS = 10;

const random: () => number = randomFrom(printedSeed('chaos/answers'));
let folder: string;
let broker: Broker;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-answers-'));
  broker = await startBroker({ quickRejoin: true });
}, 120_000);
afterAll(async () => {
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

describe(`a job that is killed at ${KILLS} random moments while prompts arrive answers each prompt once`, () => {
  it('on the embedded log', async () => {
    const job = await SpeakingJob.begin(folder, random, null);
    await job.killOften(KILLS);
    const { code, stderr } = await job.answerTheRest();
    expect(code, stderr).toBe(0);
    expect(await job.outcome()).toEqual(job.expected());
    expect(await job.positions()).toEqual(job.ends());
    await job.close();
  }, 400_000);

  it("on Kafka, though the broker is killed too, as Kafka's own consumer sees it", async () => {
    const job = await SpeakingJob.begin(folder, random, broker.brokers);
    await job.killOften(KILLS);
    const { code, stderr } = await job.answerTheRest(async () => {
      for (let kill = 0; kill < 2; kill += 1) {
        await sleep(300 + random() * 1000);
        await broker.restart();
      }
    });
    expect(code, stderr).toBe(0);
    expect(await job.outcome()).toEqual(job.expected());
    expect(await job.positions()).toEqual(job.ends());
    const parts = await job.parts();
    const lines = await consoleConsume(broker, 'generations', parts.length);
    expect(lines.map(readPart)).toEqual(parts);
    await job.close();
  }, 400_000);
});
