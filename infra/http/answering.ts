import { Observable, map, merge } from 'rxjs';
import type { ChosenProbability } from '../../model/log-probabilities.ts';
import type { Sampler, Tokenizer, WeightsVersion } from '../../operators/ports.ts';
import { answerText } from './answer-text.ts';
import type { TextPiece } from './answer-text.ts';
import { ApiError } from './api-error.ts';
import { givenTokens } from './given-tokens.ts';
import type { Asked } from './openai-requests.ts';
import { untilDeadline } from './until-deadline.ts';

/** The model that speaks. */
export interface SpeakingModel {
  readonly id: string;
  /** Tokens of prompt and answer together. */
  readonly maxContext: number;
  readonly createdAtMs: number;
  /** Whether it has weights to speak with. */
  isReady(): boolean;
}

export interface AnsweringOptions {
  readonly model: SpeakingModel;
  readonly sampler: Pick<Sampler, 'sample'>;
  readonly tokenizer: Tokenizer;
}

export interface Prompt {
  readonly text: string;
  /** Behind an end-of-text token, as documents begin in training. */
  readonly tokens: Int32Array;
  /** Whether the client has put it there. */
  readonly isBegun: boolean;
}

/** A part of one of the answers to a request. */
export interface AnswerPiece extends TextPiece {
  /** Which answer: those to the first prompt come first. */
  readonly index: number;
  /** On an answer's first part, of each token of the prompt but the end-of-text one, when they were asked for. */
  readonly promptProbabilities: readonly ChosenProbability[] | null;
  readonly weights: WeightsVersion;
  /** Tokens of the prompt that had been read before. */
  readonly reused: number;
}

/** Parts of an answer that one reader has let wait, as one. */
export function joinPieces(earlier: AnswerPiece, later: AnswerPiece): AnswerPiece {
  return {
    ...later,
    text: earlier.text + later.text,
    tokens: [...earlier.tokens, ...later.tokens],
    promptProbabilities: earlier.promptProbabilities,
  };
}

/** Lets requests ask the sampler. */
export class Answering {
  readonly #options: AnsweringOptions;

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  get model(): SpeakingModel {
    return this.#options.model;
  }

  get tokenizer(): Tokenizer {
    return this.#options.tokenizer;
  }

  /** Throws an `ApiError` for another model, or where there is none yet. */
  requireModel(id: string): void {
    const { model } = this.#options;
    if (id !== model.id) {
      const message = `There is no model "${id}" here, but "${model.id}".`;
      throw new ApiError(404, message, { param: 'model', code: 'model_not_found' });
    }
    if (!model.isReady()) {
      throw new ApiError(503, 'There are no weights to speak with yet: they come with the first checkpoint.');
    }
  }

  async toPrompt(prompt: string | readonly number[]): Promise<Prompt> {
    const { tokenizer } = this.#options;
    const tokens =
      typeof prompt === 'string' ? await tokenizer.encode(prompt) : givenTokens(prompt, tokenizer, 'prompt');
    const text = typeof prompt === 'string' ? prompt : new TextDecoder().decode(tokenizer.decode(tokens));
    if (tokens[0] === tokenizer.endOfText) return { text, tokens, isBegun: true };
    const whole = new Int32Array(tokens.length + 1);
    whole[0] = tokenizer.endOfText;
    whole.set(tokens, 1);
    return { text, tokens: whole, isBegun: false };
  }

  /** All answers to a request, mingled. Unsubscribing cancels them. Throws an `ApiError` for what has no room. */
  answers(asked: Asked, prompts: readonly Prompt[], isScored: boolean): Observable<AnswerPiece> {
    const wanted = prompts.flatMap((prompt) => Array.from({ length: asked.n }, (_, at) => ({ prompt, at })));
    for (const { tokens } of prompts) this.#requireRoom(tokens.length, asked.maxTokens);
    return merge(...wanted.map(({ prompt, at }, index) => this.#answer(asked, prompt, at, index, isScored)));
  }

  #answer(asked: Asked, prompt: Prompt, at: number, index: number, isScored: boolean): Observable<AnswerPiece> {
    const { sampler, tokenizer, model } = this.#options;
    const { settings, top, stop, maxTokens } = asked;
    // The sampler always says something; where nothing was asked for, it is not shown.
    const isSilent = maxTokens === 0;
    const request = {
      ...settings,
      prompt: prompt.tokens,
      maxTokens: maxTokens ?? model.maxContext - prompt.tokens.length,
      seed: asked.seed + at,
      onNewWeights: asked.onNewWeights,
      stopTokens: [tokenizer.endOfText],
      topLogProbabilities: top ?? undefined,
      topPromptLogProbabilities: isScored ? (top ?? undefined) : undefined,
    };
    return new Observable<AnswerPiece>((subscriber) => {
      let promptProbabilities: readonly ChosenProbability[] | null = null;
      let weights: WeightsVersion = { id: '', step: 0 };
      let reused = 0;
      const deltas = sampler.sample({ ...request, maxTokens: Math.max(1, request.maxTokens) }).pipe(
        untilDeadline(asked.deadlineMs),
        map((delta) => {
          promptProbabilities = delta.promptLogProbabilities ?? null;
          weights = delta.weights;
          reused = delta.read?.reused ?? reused;
          return delta;
        }),
        answerText(tokenizer, isSilent ? [] : stop),
        map((piece) => ({
          ...(isSilent ? { text: '', tokens: [], made: 0, finish: 'length' as const } : piece),
          index,
          promptProbabilities,
          weights,
          reused,
        })),
      );
      return deltas.subscribe(subscriber);
    });
  }

  #requireRoom(promptTokens: number, maxTokens: number | null): void {
    const { maxContext } = this.#options.model;
    const needed = promptTokens + (maxTokens ?? 1);
    if (needed <= maxContext) return;
    throw new ApiError(
      400,
      `The context has ${maxContext} tokens; the prompt takes ${promptTokens}, and ${maxTokens ?? 1} are asked for. ` +
        'Shorten the prompt, or ask for fewer.',
      { param: 'max_tokens', code: 'context_length_exceeded' },
    );
  }
}
