import { firstValueFrom, map, reduce } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import type { ErrorCode } from '../../operators/errors.ts';
import type { SampleRequest, Sampler, Tokenizer, WeightsFile } from '../../operators/ports.ts';
import { asDocument, passRateOf } from './cloze.ts';
import type { ClozeItem } from './cloze.ts';
import type { HeldOutText } from './held-out.ts';
import type { Results } from './judge.ts';
import type { ShadowAnswer } from './promotion-state.ts';

export interface ExaminerOptions {
  /** Starts a sampler that nobody else asks. */
  readonly open: () => Promise<Sampler>;
  readonly tokenizer: Tokenizer;
  readonly maxContext: number;
  readonly cloze: readonly ClozeItem[];
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
/** What says that weights are bad, and not that something else went wrong. */
const BAD_WEIGHTS: ReadonlySet<ErrorCode> = new Set(['weights-corrupt', 'weights-mismatch']);

/**
 * Examines weights in a sampler of its own, one set of them in memory at a time; it is started for the first exam. What was
 * measured once is not measured again while those weights and that text are still asked for.
 */
export class Examiner {
  readonly #options: ExaminerOptions;
  readonly #known = new Map<string, Known>();
  #sampler: Promise<Sampler> | null = null;
  #isClosed = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ExaminerOptions) {
    this.#options = options;
  }

  /** One exam after the other. Rejects where it could not be held: with `process-died`, mostly. */
  examine(weights: WeightsFile, texts: readonly HeldOutText[], prompts: readonly SampleRequest[]): Promise<Exam> {
    const examined = this.#last.then(() => this.#examine(weights, texts, prompts));
    this.#last = examined.catch(() => undefined);
    return examined;
  }

  /** Forgets what is known of others. */
  forgetAllBut(ids: ReadonlySet<string>): void {
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
  }

  /** Breaks off an exam under way, which rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#drop();
  }

  async #drop(): Promise<void> {
    const sampler = await this.#sampler?.catch(() => null);
    this.#sampler = null;
    await sampler?.close();
  }

  async #examine(
    weights: WeightsFile,
    texts: readonly HeldOutText[],
    prompts: readonly SampleRequest[],
  ): Promise<Exam> {
    const known = this.#known.get(weights.id) ?? { bits: new Map<string, number>(), passRate: undefined };
    const news = texts.filter(({ key }) => !known.bits.has(key));
    let answers: readonly ShadowAnswer[] = [];
    try {
      if (news.length > 0 || known.passRate === undefined || prompts.length > 0) {
        const sampler = await this.#opened();
        await sampler.load(weights);
        for (const { key, text } of news) known.bits.set(key, await this.#bitsOf(text, sampler));
        known.passRate ??= await this.#passRate(sampler);
        answers = await this.#answers(prompts, sampler);
      }
    } catch (error) {
      if (error instanceof MillraceError && BAD_WEIGHTS.has(error.code)) return useless(error.message);
      // Whatever it was, the next exam begins with a new process.
      await this.#drop();
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

  #opened(): Promise<Sampler> {
    if (this.#isClosed) throw new MillraceError('process-died', 'The examiner was closed.');
    this.#sampler ??= this.#options.open();
    return this.#sampler;
  }

  #passRate(sampler: Sampler): Promise<number | null> {
    const { cloze, tokenizer } = this.#options;
    return passRateOf(cloze, tokenizer, (tokens) => scoreOf(sampler, tokens));
  }

  /** Piece by piece of what the context holds; each knows the last token of the one before, the first an end of text. */
  async #bitsOf(text: string, sampler: Sampler): Promise<number> {
    const { tokenizer, maxContext } = this.#options;
    const tokens = asDocument(await tokenizer.encode(text), tokenizer);
    // The sampler leaves room for one token that it says.
    const length = maxContext - 1;
    let bits = 0;
    for (let from = 0; from < tokens.length - 1; from += length - 1) {
      const probabilities = await scoreOf(sampler, tokens.slice(from, from + length));
      for (const each of probabilities) bits -= each / Math.LN2;
    }
    return bits;
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

/** The sampler always says a token; it is asked for one, and what it says is not looked at. */
async function scoreOf(sampler: Sampler, prompt: Int32Array): Promise<readonly number[]> {
  const plain = { temperature: 0, topK: 0, topP: 1, seed: 0, stopTokens: [] };
  const { promptLogProbabilities = [] } = await firstValueFrom(
    sampler.sample({ ...plain, prompt, maxTokens: 1, topPromptLogProbabilities: 0 }),
  );
  return promptLogProbabilities.map(({ logProbability }) => logProbability);
}

function useless(problem: string): Exam {
  return { results: null, answers: [], problem };
}

/** Texts that are not asked for any more do not come back. */
function forget(bits: Map<string, number>, texts: readonly HeldOutText[]): void {
  const current = new Set(texts.map(({ key }) => key));
  for (const key of bits.keys()) if (!current.has(key)) bits.delete(key);
}
