import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { fillTopic } from '../support/embedded-topics.ts';
import { millrace } from '../support/millrace.ts';
import { randomFrom } from '../support/random.ts';

const GRAPH = `
name: guarded
model: { preset: nano }
tokenizer: { kind: bytes }
topics: { text: {} }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {} }
    - { uid: train, trainStep: { guard: { window: 16, retryAfter: 8 } } }
    - { uid: checkpoint, checkpoint: {} }
`;

const eventSchema = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('step'),
    step: z.number(),
    loss: z.number(),
    fault: z.string().nullable(),
    attempt: z.number(),
  }),
  z.object({ event: z.literal('deadletter'), offset: z.number(), code: z.string() }),
]);

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-guard-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a text like no other is skipped, tried again, and put to the dead letters, while training goes on', async () => {
  const text = Array.from({ length: 120 }, (_, at) => `document ${at} of the mill, ${at * 7919}. `.repeat(14));
  const poison = 60;
  await fillTopic(folder, 'text', text.with(poison, noise(500)));
  const graph = join(folder, 'graph.yaml');
  await writeFile(graph, GRAPH);
  const { code, stdout, stderr } = await millrace(['up', graph, '--data-dir', folder, '--until-idle', '1s', '--json']);
  expect(code, stderr).toBe(0);

  const events = stdout.split('\n').flatMap((line) => {
    const parsed = eventSchema.safeParse(line === '' ? null : JSON.parse(line));
    return parsed.success ? [parsed.data] : [];
  });
  const steps = events.filter((event) => event.event === 'step');
  const skipped = steps.filter(({ fault }) => fault !== null);
  expect(new Set(skipped.map(({ fault }) => fault))).toEqual(new Set(['loss-spike']));
  const first = skipped.filter(({ attempt }) => attempt === 1);
  const second = skipped.filter(({ attempt }) => attempt === 2);
  expect(second.length).toBeGreaterThan(0);
  expect(second.length).toBeLessThanOrEqual(first.length);
  // Each is tried again so many steps later.
  expect(steps.filter(({ attempt }) => attempt === 2).map(({ step }) => step)).toEqual(
    first.map(({ step }) => step + 8),
  );
  const letters = events.filter((event) => event.event === 'deadletter');
  expect(letters.map(({ offset }) => offset)).toContain(poison);
  expect(new Set(letters.map(({ code: why }) => why))).toEqual(new Set(['loss-spike']));
  // The weights know what they knew.
  const before = steps.findLast(({ step }) => step < (first[0]?.step ?? 0));
  expect(steps.at(-1)?.loss).toBeLessThan(2 * (before?.loss ?? 0));
});

/** Characters in no order, of those that the other texts do not have. */
function noise(length: number): string {
  const random = randomFrom(7);
  return Array.from({ length }, () => String.fromCodePoint(0x20ac + Math.floor(random() * 5000))).join('');
}
