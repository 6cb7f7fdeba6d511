import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { z } from 'zod';
import { sotuRecords } from '../../pipelines/job/feeds/sotu.ts';
import { table } from '../../pipelines/terminal/format.ts';
import { Millrace } from '../support/millrace.ts';
import { compressors } from './compressors.ts';
import { curvePicture } from './learning-curve.ts';
import type { CurvePoint, Level } from './learning-curve.ts';
import { warnUnlessQuiet } from './quiet.ts';
import { printRows, progress } from './report.ts';
import type { Figure } from './report.ts';

interface LearnOptions {
  readonly graph: string;
  readonly plot?: string;
  readonly json?: true;
}

const GRAPH = fileURLToPath(new URL('learn.yaml', import.meta.url));
/** The curve has a point for so many bytes. */
const STRETCH_BYTES = 200_000;

/** `bench learn`: what a model makes of one pass over a stream, beside what compressors make of it. */
export function learnBench(): Command {
  return new Command('learn')
    .description(
      'Learn 230 years of State of the Union addresses in one pass (10.76 MB, about 20 minutes on two cores): ' +
        'bits per byte of every batch before it is learnt, beside compressors on the same bytes.',
    )
    .option('--graph <file>', 'another graph that feeds itself the addresses', GRAPH)
    .option('--plot <file>', 'write the curve as a picture in SVG')
    .option('--json', 'print rows as JSON, one a line')
    .action(learn);
}

async function learn({ graph, plot, json }: LearnOptions): Promise<void> {
  await warnUnlessQuiet();
  const addresses = await sotuRecords();
  const text = Buffer.concat(addresses.map(({ value }) => value));
  const pass = await onePass(graph, text.byteLength);
  const compressed = await compressors(text);
  const last = pass.points.at(-1);
  const levels: Level[] = compressed.map(({ name, bytes }) => ({ name, bitsPerByte: (8 * bytes) / text.byteLength }));
  if (plot !== undefined) await writeFile(plot, curvePicture(pass.points, levels));
  const cases = [
    { name: 'millrace', bitsPerByte: last?.bitsPerByte ?? Number.NaN, seconds: pass.seconds },
    ...levels.map((level, at) => ({ ...level, seconds: compressed[at]?.seconds ?? Number.NaN })),
  ].toSorted((one, other) => one.bitsPerByte - other.bitsPerByte);
  if (json) {
    const figures = cases.flatMap(({ name, bitsPerByte, seconds }): Figure[] => [
      { case: name, metric: 'bitsPerByte', value: bitsPerByte, unit: 'bits/byte' },
      { case: name, metric: 'seconds', value: seconds, unit: 's' },
    ]);
    printRows({ bench: 'learn' }, figures);
    return;
  }
  console.log(`One pass over the State of the Union addresses, ${text.byteLength.toLocaleString('en')} bytes\n`);
  const rows = cases.map(({ name, bitsPerByte, seconds }) => [name, bitsPerByte.toFixed(4), seconds.toFixed(0)]);
  console.log(table(['case', 'bits per byte', 'seconds'], rows));
  console.log('\nmillrace   since the start  of the last stretch');
  for (const { bytes, bitsPerByte, window } of pass.points.filter((_, at) => at % 5 === 4)) {
    console.log(
      `${(bytes / 1e6).toFixed(1).padStart(5)} MB   ${bitsPerByte.toFixed(4).padStart(15)}  ${window.toFixed(4).padStart(19)}`,
    );
  }
}

const stepSchema = z.looseObject({
  event: z.literal('step'),
  bytes: z.number(),
  bitsPerByte: z.number().nullable(),
  attempt: z.number().optional(),
});

interface Pass {
  readonly points: readonly CurvePoint[];
  /** From the start of the command to its end: setting up, learning the vocabulary and compiling the step are in it. */
  readonly seconds: number;
}

/** Runs the job until there is nothing left to learn. */
async function onePass(graph: string, totalBytes: number): Promise<Pass> {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const startMs = performance.now();
  const run = new Millrace(['up', graph, '--data-dir', dataDir, '--json', '--until-idle', '1s']);
  try {
    const points: CurvePoint[] = [];
    const all = { bytes: 0, bits: 0 };
    let stretch = { bytes: 0, bits: 0 };
    const close = (): void => {
      const bitsPerByte = all.bits / all.bytes;
      points.push({ bytes: all.bytes, bitsPerByte, window: stretch.bits / stretch.bytes });
      const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
      progress(
        `${(all.bytes / 1e6).toFixed(1)} of ${(totalBytes / 1e6).toFixed(1)} MB after ${minutes} min: ${bitsPerByte.toFixed(4)} bits per byte`,
      );
      stretch = { bytes: 0, bits: 0 };
    };
    run.each((line) => {
      const step = line.startsWith('{"event":"step"') ? stepSchema.parse(JSON.parse(line)) : null;
      // What is repeated or tried again is no exam.
      if (step === null || step.bytes === 0 || step.attempt === 2) return;
      for (const sum of [all, stretch]) {
        sum.bytes += step.bytes;
        sum.bits += (step.bitsPerByte ?? Number.NaN) * step.bytes;
      }
      if (stretch.bytes >= STRETCH_BYTES) close();
    });
    const { code, stderr } = await run.finished;
    if (code !== 0) throw new Error(`millrace up ended with ${code}:\n${stderr.slice(-2000)}`);
    if (stretch.bytes > 0) close();
    if (all.bytes < 0.99 * totalBytes) throw new Error(`Only ${all.bytes} of ${totalBytes} bytes were learnt.`);
    return { points, seconds: (performance.now() - startMs) / 1000 };
  } finally {
    run.kill('SIGKILL');
    await rm(dataDir, { recursive: true, force: true });
  }
}
