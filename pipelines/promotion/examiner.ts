import { firstValueFrom, map, reduce } from 'rxjs';
import type { SampleRequest, Sampler, Tokenizer, WeightsFile } from '../../operators/ports.ts';
import { figuresOfChoices } from '../evaluation/choice-figures.ts';
import type { ChoiceItem } from '../evaluation/choice-item.ts';
import { isOfBadWeights } from '../evaluation/exam-room.ts';
import type { ExamRoom, Examined } from '../evaluation/exam-room.ts';
import type { HeldOutText } from '../evaluation/held-out.ts';
import { scoredAtOnce } from '../evaluation/scorer.ts';
import { figuresOfText } from '../evaluation/text-figures.ts';
import type { Results } from './judge.ts';
import type { ShadowAnswer } from './promotion-state.ts';

export interface ExaminerOptions {
  readonly room: ExamRoom;
  readonly tokenizer: Tokenizer;
  readonly maxContext: number;
  readonly cloze: readonly ChoiceItem[];
}

/** What some weights have shown; a problem where they can't be used at all. */
export type Exam =
  | { readonly results: Results; readonly answers: readonly ShadowAnswer[]; readonly problem: null }
  | { readonly results: null; readonly answers: readonly []; readonly problem: string };

/** What is known of some weights already: bits by text, and how they did at the items. */
interface Known {
  readonly bits: Map<string, number>;
  passRate: number | null | undefined;
}

/** Tokens of an answer that is recorded, at most. */
const MOST_TOKENS = 64;

/** Examines weights. What was measured once is not measured again while those weights and that text are still asked for. */
export class Examiner {
  readonly #options: ExaminerOptions;
  readonly #known = new Map<string, Known>();

  constructor(options: ExaminerOptions) {
    this.#options = options;
  }

  /** Rejects where the exam could not be held: with `process-died`, mostly. */
  async examine(weights: WeightsFile, texts: readonly HeldOutText[], prompts: readonly SampleRequest[]): Promise<Exam> {
    const known = this.#known.get(weights.id) ?? { bits: new Map<string, number>(), passRate: undefined };
    let answers: readonly ShadowAnswer[] = [];
    try {
      if (texts.some(({ key }) => !known.bits.has(key)) || known.passRate === undefined || prompts.length > 0) {
        answers = await this.#options.room.hold(weights, async (examined) => {
          await this.#measure(texts, known, examined);
          return this.#answers(prompts, examined.sampler);
        });
      }
    } catch (error) {
      if (isOfBadWeights(error)) return useless(error.message);
      throw error;
    }
    const bits = texts.reduce((sum, { key }) => sum + (known.bits.get(key) ?? 0), 0);
    if (!Number.isFinite(bits)) return useless('its probabilities are not finite');
    forget(known.bits, texts);
    this.#known.set(weights.id, known);
    const bytes = texts.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    const { passRate = null } = known;
    const items = this.#options.cloze.length;
    const results = { bitsPerByte: bytes > 0 ? bits / bytes : null, bytes, passRate, items };
    return { results, answers, problem: null };
  }

  /** Forgets what is known of others. */
  forgetAllBut(ids: ReadonlySet<string>): void {
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
  }

  async #measure(texts: readonly HeldOutText[], known: Known, { score }: Examined): Promise<void> {
    const { tokenizer, maxContext, cloze } = this.#options;
    const size = scoredAtOnce(maxContext);
    // Exams are held often, beside the training: each token is read once.
    const scoring = { score, tokenizer, size, stride: size - 1 };
    for (const { key, text } of texts) {
      if (!known.bits.has(key)) known.bits.set(key, (await figuresOfText(text, scoring)).bits);
    }
    known.passRate ??= (await figuresOfChoices(cloze, scoring)).accuracyPerByte;
  }

  #answers(prompts: readonly SampleRequest[], sampler: Sampler): Promise<readonly ShadowAnswer[]> {
    const { tokenizer } = this.#options;
    const text = (tokens: Int32Array): string =>
      new TextDecoder().decode(tokenizer.decode(tokens.filter((token) => token !== tokenizer.endOfText)));
    return Promise.all(
      prompts.map(async (request) => {
        const asked = { ...request, maxTokens: Math.min(request.maxTokens, MOST_TOKENS) };
        const said = sampler.sample(asked).pipe(
          reduce((all: readonly number[], { tokens }) => [...all, ...tokens], []),
          map((tokens) => text(Int32Array.from(tokens))),
        );
        return { prompt: text(request.prompt), answer: await firstValueFrom(said) };
      }),
    );
  }
}

function useless(problem: string): Exam {
  return { results: null, answers: [], problem };
}

/** Texts that are not asked for any more do not come back. */
function forget(bits: Map<string, number>, texts: readonly HeldOutText[]): void {
  const current = new Set(texts.map(({ key }) => key));
  for (const key of bits.keys()) if (!current.has(key)) bits.delete(key);
}
