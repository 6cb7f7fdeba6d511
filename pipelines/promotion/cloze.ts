import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import type { Tokenizer } from '../../operators/ports.ts';

/** A text that ends before a word, the word that belongs there, and others. */
export interface ClozeItem {
  readonly prompt: string;
  readonly answer: string;
  readonly wrong: readonly string[];
}

/** Log-probability of each token but the first, given all before it. */
export type Scorer = (tokens: Int32Array) => Promise<readonly number[]>;

const SHIPPED = fileURLToPath(new URL('cloze.jsonl', import.meta.url));

const itemSchema: z.ZodType<ClozeItem> = z.object({
  prompt: z.string().min(1),
  answer: z.string().min(1),
  wrong: z.array(z.string().min(1)).min(1),
});

/** The items that a graph names: `shipped`, `none`, or a file of JSON lines. Throws `config-invalid`. */
export function readCloze(name: string): readonly ClozeItem[] {
  if (name === 'none') return [];
  const path = name === 'shipped' ? SHIPPED : name;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MillraceError('config-invalid', `The cloze items of promote.cloze can't be read from ${path}.`, {
      cause,
    });
  }
  const lines = text.split('\n').map((line, index) => ({ line, number: index + 1 }));
  return lines
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, number }) => {
      try {
        return itemSchema.parse(JSON.parse(line));
      } catch (cause) {
        const wanted = '{"prompt": "…", "answer": "…", "wrong": ["…", "…"]}';
        throw new MillraceError('config-invalid', `Line ${number} of ${path} is no cloze item, such as ${wanted}.`, {
          cause,
        });
      }
    });
}

/** Share of the items whose answer is likelier than each of the wrong ones; null where there are no items. */
export async function passRateOf(
  items: readonly ClozeItem[],
  tokenizer: Tokenizer,
  score: Scorer,
): Promise<number | null> {
  if (items.length === 0) return null;
  const outcomes = await Promise.all(
    items.map(async ({ prompt, answer, wrong }) => {
      const likelihood = (choice: string): Promise<number> => perByte(prompt, choice, tokenizer, score);
      const [right, ...others] = await Promise.all([answer, ...wrong].map(likelihood));
      return others.every((other) => (right ?? -Infinity) > other);
    }),
  );
  return outcomes.filter(Boolean).length / items.length;
}

/** Log-probability of a choice behind a prompt, by its length in bytes, lest short ones always win. */
async function perByte(prompt: string, choice: string, tokenizer: Tokenizer, score: Scorer): Promise<number> {
  const spoken = /\s$/.test(prompt) ? choice : ` ${choice}`;
  const [before, whole] = await Promise.all([tokenizer.encode(prompt), tokenizer.encode(prompt + spoken)]);
  // A token may reach from the prompt into the choice: then it is the choice's.
  const own = whole.length - whole.findIndex((token, at) => token !== before[at]);
  const probabilities = await score(asDocument(whole, tokenizer));
  return probabilities.slice(-own).reduce((sum, each) => sum + each, 0) / Buffer.byteLength(spoken);
}

/** Tokens behind an end of text, as documents begin in training. */
export function asDocument(tokens: Int32Array, { endOfText }: Tokenizer): Int32Array {
  const whole = new Int32Array(tokens.length + 1).fill(endOfText);
  whole.set(tokens, 1);
  return whole;
}
