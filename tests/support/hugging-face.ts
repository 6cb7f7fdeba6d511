import { fileURLToPath } from 'node:url';
import { delimiter } from 'node:path';
import { z } from 'zod';
import { startPython } from './python-process.ts';
import { torchPython, transformersPath } from './torch-venv.ts';

const script = fileURLToPath(new URL('../interop/hugging_face.py', import.meta.url));

export interface HuggingFace {
  /** What hugging_face.py answers. */
  ask<T>(answer: z.ZodType<T>, what: string, about: Readonly<Record<string, unknown>>): Promise<T>;
  close(): Promise<void>;
}

export const logitsSchema: z.ZodType<{ logits: number[][] }> = z.object({ logits: z.array(z.array(z.number())) });
export const lossesSchema: z.ZodType<{ losses: number[] }> = z.object({ losses: z.array(z.number()) });
export const filesSchema: z.ZodType<{ files: string[] }> = z.object({ files: z.array(z.string()) });
export const lossSchema: z.ZodType<{ loss: number }> = z.object({ loss: z.number() });
export const tokensSchema: z.ZodType<{ tokens: number[][] }> = z.object({ tokens: z.array(z.array(z.number())) });
export const loadedSchema: z.ZodType<{ architecture: string }> = z.object({ architecture: z.string() });

/** Hugging Face's transformers in a process of its own, with folders of further packages beside it. */
export async function startHuggingFace(packages: readonly string[] = []): Promise<HuggingFace> {
  const python = await torchPython(console.log);
  const path = [await transformersPath(console.log), ...packages].join(delimiter);
  const child = startPython(python, [script], { PYTHONPATH: path, HF_HUB_OFFLINE: '1' });
  z.strictObject({ ready: z.literal(true) }).parse(await child.answer());
  return {
    async ask(answer, what, about) {
      child.send(`${JSON.stringify({ do: what, ...about })}\n`);
      return answer.parse(await child.answer());
    },
    close: () => child.close(),
  };
}
