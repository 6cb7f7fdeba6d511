import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Tokenizer } from '../../operators/ports.ts';
import type { SpeakingModel } from './answering.ts';
import { plainTemplate } from './chat-template.ts';
import { givenTokens } from './given-tokens.ts';
import { parseBody } from './openai-requests.ts';

export interface TokenizingOptions {
  readonly model: Pick<SpeakingModel, 'maxContext'>;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate?: string | undefined;
}

/** The name of the token between texts, here, whatever the tokenizer's file calls it. No text is read as it but this alone. */
const END_OF_TEXT = '<|endoftext|>';

const tokenizeSchema = z.looseObject({
  prompt: z.string(),
  add_special_tokens: z.boolean().default(true),
});
const detokenizeSchema = z.looseObject({ tokens: z.array(z.int().min(0)) });

/** The model's tokenizer as vLLM serves it, for clients that count tokens: `/tokenize`, `/detokenize`, `/tokenizer_info`. */
export function addTokenizing(api: FastifyInstance, options: TokenizingOptions): void {
  const { model, tokenizer, chatTemplate = plainTemplate } = options;
  api.get('/tokenizer_info', () => ({
    bos_token: END_OF_TEXT,
    eos_token: END_OF_TEXT,
    vocab_size: tokenizer.vocabSize,
    chat_template: chatTemplate,
  }));
  api.post('/tokenize', async ({ body }) => {
    const { prompt, add_special_tokens: withBegin } = parseBody(tokenizeSchema, body);
    const text = prompt === END_OF_TEXT ? [tokenizer.endOfText] : Array.from(await tokenizer.encode(prompt));
    const tokens = withBegin ? [tokenizer.endOfText, ...text] : text;
    return { count: tokens.length, max_model_len: model.maxContext, tokens };
  });
  api.post('/detokenize', ({ body }) => {
    const { tokens } = parseBody(detokenizeSchema, body);
    return { prompt: new TextDecoder().decode(tokenizer.decode(givenTokens(tokens, tokenizer, 'tokens'))) };
  });
}
