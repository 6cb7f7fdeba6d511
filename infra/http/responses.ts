import { randomUUID } from 'node:crypto';
import type { Tokenizer } from '../../operators/ports.ts';
import type { AnswerPiece, Prompt } from './answering.ts';
import { chatLogprobs, completionLogprobs, promptAsSpoken } from './choice-logprobs.ts';
import type { Asked, AskedChat, AskedCompletion } from './openai-requests.ts';

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/** What one kind of request makes of the parts of its answers. */
export interface ResponseForm {
  /** Of the whole response, and of each of its chunks. */
  readonly head: { readonly id: string; readonly created: number; readonly model: string };
  readonly object: string;
  readonly chunkObject: string;
  /** The choice that a part of an answer shows in a stream; the first part of each answer comes with `isFirst`. */
  chunk(piece: AnswerPiece, isFirst: boolean): object;
  /** The choice that all parts of an answer together make. */
  whole(pieces: readonly AnswerPiece[]): object;
}

export function completionForm(asked: AskedCompletion, prompts: readonly Prompt[], tokenizer: Tokenizer): ResponseForm {
  const choice = (pieces: readonly AnswerPiece[], isFirst: boolean): object => {
    const [first] = pieces;
    const index = first?.index ?? 0;
    const { text: prompt = '', isBegun = false } = prompts[Math.floor(index / asked.n)] ?? {};
    const before = asked.isEcho ? prompt.length : 0;
    const begin = isBegun ? [{ id: tokenizer.endOfText, offset: 0, chosen: null }] : [];
    const isEchoed = asked.isEcho && isFirst;
    const echoed = isEchoed ? [...begin, ...promptAsSpoken(first?.promptProbabilities ?? [], tokenizer)] : [];
    const spoken = pieces.flatMap(({ tokens }) => tokens.map((each) => ({ ...each, offset: before + each.offset })));
    return {
      index,
      text: (isEchoed ? prompt : '') + pieces.map(({ text }) => text).join(''),
      logprobs: asked.top === null ? null : completionLogprobs([...echoed, ...spoken], tokenizer),
      finish_reason: pieces.at(-1)?.finish ?? null,
    };
  };
  return {
    head: { id: `cmpl-${randomUUID()}`, created: nowSeconds(), model: asked.model },
    object: 'text_completion',
    chunkObject: 'text_completion',
    chunk: (piece, isFirst) => choice([piece], isFirst),
    whole: (pieces) => choice(pieces, true),
  };
}

export function chatForm(asked: AskedChat, tokenizer: Tokenizer): ResponseForm {
  const logprobs = (pieces: readonly AnswerPiece[]): object | null =>
    asked.top === null
      ? null
      : chatLogprobs(
          pieces.flatMap(({ tokens }) => tokens),
          tokenizer,
        );
  return {
    head: { id: `chatcmpl-${randomUUID()}`, created: nowSeconds(), model: asked.model },
    object: 'chat.completion',
    chunkObject: 'chat.completion.chunk',
    chunk: (piece, isFirst) => ({
      index: piece.index,
      delta: { ...(isFirst ? { role: 'assistant' } : {}), content: piece.text },
      logprobs: logprobs([piece]),
      finish_reason: piece.finish,
    }),
    whole: (pieces) => ({
      index: pieces[0]?.index ?? 0,
      message: { role: 'assistant', content: pieces.map(({ text }) => text).join(''), refusal: null },
      logprobs: logprobs(pieces),
      finish_reason: pieces.at(-1)?.finish ?? null,
    }),
  };
}

/**
 * Counts what was read and said. The end-of-text token in front of a prompt counts too: the model reads it. Of each answer
 * its last part is given, in any order; of a prompt's tokens, those are cached that its first answer found so.
 */
export function usageOf({ n }: Asked, prompts: readonly Prompt[], last: Iterable<AnswerPiece>): Usage {
  const promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  let completionTokens = 0;
  let cachedTokens = 0;
  for (const { index, made, reused } of last) {
    completionTokens += made;
    if (index % n === 0) cachedTokens += reused;
  }
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** Which weights spoke, as the field in which OpenAI tells backends apart. */
export function fingerprint({ weights }: AnswerPiece): string {
  return `step-${weights.step}-${weights.id}`;
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
