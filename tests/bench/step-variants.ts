/**
 * Times training steps of several engines in turn, so that a busy machine slows all of them alike.
 *
 *   npx tsx tests/bench/step-variants.ts small 10 eager '{}' '{"precision":"bf16","xla":true}'
 *
 * Arguments: preset, rounds, then one engine each: `eager`, or the options of `compiledRunner` as JSON.
 */
import { z } from 'zod';
import { compiledRunner } from '../../model/compiled-runner.ts';
import { eagerRunner } from '../../model/eager-runner.ts';
import { presets } from '../../model/presets.ts';
import { createTrainer } from '../../model/trainer.ts';
import type { ModelTrainer } from '../../model/trainer.ts';
import type { StepInput } from '../../model/types.ts';

const engineSchema = z.strictObject({ precision: z.enum(['f32', 'bf16']).optional(), xla: z.boolean().optional() });

interface Variant {
  readonly name: string;
  readonly trainer: ModelTrainer;
  readonly times: number[];
  /** Processor time of all threads, which a busy machine disturbs less. */
  readonly cpuTimes: number[];
  loss: number;
}

const [presetName, rounds, ...engines] = process.argv.slice(2);
const preset = presets[z.enum(['nano', 'small', 'base']).parse(presetName)];
const { batchRows, model, optimizer, schedule } = preset;
const context = Math.min(model.maxContext, 256);

const variants = engines.map((name): Variant => {
  const { precision = 'f32', xla = false } = name === 'eager' ? {} : engineSchema.parse(JSON.parse(name));
  const runner = name === 'eager' ? eagerRunner : compiledRunner({ precision, xla });
  const trainer = createTrainer({ model, seed: 1, optimizer, schedule, accumulate: 1 }, runner);
  trainer.restore(null);
  const start = performance.now();
  const cpuStart = process.cpuUsage();
  trainer.step(batchOf(0));
  console.log(
    `${name}: first step ${(performance.now() - start).toFixed(0)} ms, processor ${cpuSince(cpuStart).toFixed(0)} ms`,
  );
  return { name, trainer, times: [], cpuTimes: [], loss: Number.NaN };
});

for (let round = 1; round <= Number(rounds); round++) {
  const batch = batchOf(round);
  for (const variant of variants) {
    const start = performance.now();
    const cpuStart = process.cpuUsage();
    variant.loss = variant.trainer.step(batch).loss;
    variant.times.push(performance.now() - start);
    variant.cpuTimes.push(cpuSince(cpuStart));
  }
}

for (const { name, times, cpuTimes, loss } of variants) {
  const figures = [
    `median ${median(times).toFixed(1)} ms`,
    `least ${Math.min(...times).toFixed(1)} ms`,
    `processor ${median(cpuTimes).toFixed(1)} ms`,
    `${((batchRows * context * 1000) / median(times)).toFixed(0)} tokens/s`,
  ];
  console.log(`${name}: ${figures.join(', ')}, loss ${loss.toFixed(5)}`);
}
console.log(`memory ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`);

function cpuSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** A batch that differs each time: skewed ids, targets that follow from them. */
function batchOf(seed: number): StepInput {
  const size = batchRows * context;
  let state = seed + 1;
  const draw = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  const ids = Int32Array.from({ length: size }, () => Math.floor(draw() ** 3 * model.vocabSize));
  const targets = ids.map((id) => (id * 7 + 1) % model.vocabSize);
  return { rows: batchRows, context, ids, targets, lossMask: new Float32Array(size).fill(1) };
}
