import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { rateFraction } from '../../model/schedule.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import type { StepInput } from '../../model/types.ts';
import type { Contestant } from './contestant.ts';
import type { Precision } from './matmul-peak.ts';
import { peakRssBytes } from './peak-rss.ts';
import { startPython } from '../support/python-process.ts';

export interface TorchOptions {
  readonly name: string;
  readonly python: string;
  /** A weights file of Millrace; the model's config is in it. */
  readonly weights: string;
  readonly settings: TrainerSettings;
  readonly precision: Precision;
  /** Through `torch.compile`. */
  readonly compile: boolean;
}

const script = fileURLToPath(new URL('./torch_model.py', import.meta.url));
const answerSchema = z.union([z.strictObject({ ready: z.literal(true) }), z.strictObject({ loss: z.number() })]);

/** PyTorch's training step (torch_model.py), asked over pipes. Rejects with the process's last words when it ends. */
export async function startTorch(options: TorchOptions): Promise<Contestant> {
  const { name, python, weights, settings, precision, compile } = options;
  const { optimizer, schedule } = settings;
  const child = startPython(python, [script, JSON.stringify({ weights, precision, compile, optimizer })]);
  const answer = async (): Promise<z.infer<typeof answerSchema>> => answerSchema.parse(await child.answer());
  await answer();
  let tokens = 0;
  return {
    name,
    precision,
    async step(batch) {
      tokens += batch.rows * batch.context;
      child.send(frameOf(batch, optimizer.learningRate * rateFraction(schedule, tokens)));
      const given = await answer();
      return 'loss' in given ? given.loss : Number.NaN;
    },
    peakRssBytes: () => peakRssBytes(child.pid),
    close: () => child.close(),
  };
}

/** What torch_model.py reads of a batch; all targets of a bench's batch count. */
function frameOf({ rows, context, ids, targets }: StepInput, lr: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeInt32LE(rows, 0);
  header.writeInt32LE(context, 4);
  header.writeFloatLE(lr, 8);
  return Buffer.concat([header, bytesOf(ids), bytesOf(targets)]);
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
