import { z } from 'zod';
import { choicesBehind } from './choice-item.ts';
import type { ChoiceItem } from './choice-item.ts';

/** A way to write items, one JSON object a line; fields that it does not know are ignored. */
export interface ChoiceFormat {
  /** Such a line. */
  readonly example: string;
  /** Whether a line has its fields. */
  fits(line: unknown): boolean;
  /** Throws an error that says what is wrong with the line. */
  read(line: unknown): ChoiceItem;
}

const text = z.string().min(1);
const texts = z.array(text).min(2);
/** Data sets give the right answer as an index, a label, a letter, or by itself. */
const key = z.union([z.int().nonnegative(), text]);
const labelled = z.object({ text: texts, label: z.array(z.union([z.string(), z.int()])) });

export type ChoiceFormatName = 'cloze' | 'question' | 'stem' | 'endings' | 'gap' | 'solutions';

/** By name. The texts that are asked are those of lm-evaluation-harness, without its letters. */
export const choiceFormats: Readonly<Record<ChoiceFormatName, ChoiceFormat>> = {
  cloze: formatOf(
    '{"prompt": "We the", "answer": "people", "wrong": ["oven", "moon"]}',
    z.object({ prompt: text, answer: text, wrong: z.array(text).min(1) }),
    ({ prompt, answer, wrong }) => ({ choices: choicesBehind(prompt, [answer, ...wrong]), answer: 0 }),
  ),
  question: formatOf(
    '{"question": "…", "choices": ["…", "…"], "answer": 0}, or choices {"text": […], "label": […]} and answerKey',
    z.object({
      question: text,
      choices: z.union([texts, labelled]),
      answer: key.optional(),
      answerKey: key.optional(),
    }),
    ({ question, choices, answer, answerKey }) => {
      const right = answerKey ?? answer;
      if (right === undefined) throw new Error('it has neither answer nor answerKey');
      return asked(question, 'text' in choices ? choices : { text: choices, label: [] }, right);
    },
  ),
  stem: formatOf(
    '{"question_stem": "…", "choices": {"text": ["…", "…"], "label": ["A", "B"]}, "answerKey": "A"}',
    z.object({ question_stem: text, choices: labelled, answerKey: key }),
    ({ question_stem: stem, choices, answerKey }) => asked(stem, choices, answerKey),
  ),
  endings: formatOf(
    '{"ctx": "…", "endings": ["…", "…"], "label": 0}',
    z.object({ ctx: text, endings: texts, label: key }),
    ({ ctx, endings, label }) => ({ choices: choicesBehind(ctx, endings), answer: indexOf(label, endings) }),
  ),
  gap: formatOf(
    '{"sentence": "… _ …", "option1": "…", "option2": "…", "answer": "1"}',
    z.object({ sentence: z.string().regex(/_.*\S/s), option1: text, option2: text, answer: key }),
    ({ sentence, option1, option2, answer }) => {
      // The gap is filled in either way; how likely what stands behind it then is, decides.
      const at = sentence.indexOf('_');
      const options = [option1, option2];
      const continuation = sentence.slice(at + 1);
      const choices = options.map((option) => ({ context: sentence.slice(0, at) + option, continuation }));
      return { choices, answer: indexOf(String(answer), options, ['1', '2']) };
    },
  ),
  solutions: formatOf(
    '{"goal": "…", "sol1": "…", "sol2": "…", "label": 0}',
    z.object({ goal: text, sol1: text, sol2: text, label: key }),
    ({ goal, sol1, sol2, label }) => asked(goal, { text: [sol1, sol2], label: [] }, label),
  ),
};

function formatOf<S extends z.ZodType>(
  example: string,
  fields: S,
  toItem: (line: z.output<S>) => ChoiceItem,
): ChoiceFormat {
  return {
    example,
    fits: (line) => fields.safeParse(line).success,
    read: (line) => {
      const parsed = fields.safeParse(line);
      if (parsed.success) return toItem(parsed.data);
      throw new Error(z.prettifyError(parsed.error));
    },
  };
}

function asked(
  question: string,
  { text: answers, label }: z.output<typeof labelled>,
  right: number | string,
): ChoiceItem {
  const choices = choicesBehind(`Question: ${question}\nAnswer:`, answers);
  return { choices, answer: indexOf(right, answers, label.map(String)) };
}

/** Index of an answer that is given as an index, or by its label, its text, its letter, or an index in digits. */
function indexOf(right: number | string, answers: readonly string[], labels: readonly string[] = []): number {
  const letters = answers.map((_, at) => String.fromCodePoint(0x41 + at));
  const indices = answers.map((_, at) => String(at));
  const names = typeof right === 'number' ? [labels, indices] : [labels, answers, letters, indices];
  const found = names.map((each) => each.indexOf(String(right))).find((at) => at >= 0 && at < answers.length);
  if (found !== undefined) return found;
  throw new Error(`its answer ${JSON.stringify(right)} is none of its ${answers.length} choices`);
}
