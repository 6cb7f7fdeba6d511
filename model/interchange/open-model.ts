import { ModelError } from '../errors.ts';
import { readTokenizerFile } from '../tokenizer/tokenizer-file.ts';
import type { TokenizerFile } from '../tokenizer/tokenizer-file.ts';
import { endOfTextOf, tokenBytes } from '../tokenizer/tokenizer.ts';
import { openWeights } from '../weights/weights-file.ts';
import type { OpenWeights } from '../weights/weights-file.ts';

/** Files of a model that Millrace wrote. */
export interface ModelFiles {
  readonly weights: string;
  readonly tokenizer: string;
}

/** A model that is to be written in a format of others, with what each of them wants to know. */
export interface OpenModel extends OpenWeights {
  readonly tokenizer: TokenizerFile;
  /** Id and name of the token between documents. */
  readonly endOfText: number;
  readonly endOfTextName: string;
}

/** Throws `weights-corrupt`, `tokenizer-invalid`, or `weights-mismatch` where the two are not of one vocabulary. */
export function openModel({ weights, tokenizer: path }: ModelFiles): OpenModel {
  const tokenizer = readTokenizerFile(path);
  const tokens = tokenBytes(tokenizer).length;
  const endOfText = endOfTextOf(tokenizer);
  const endOfTextName = tokenizer.added_tokens.find(({ id }) => id === endOfText)?.content ?? '';
  const open = openWeights(weights);
  if (tokens === open.config.vocabSize) return { ...open, tokenizer, endOfText, endOfTextName };
  open.close();
  const message = `The weights in ${weights} know ${open.config.vocabSize} tokens, the tokenizer in ${path} ${tokens}. Use files of one checkpoint.`;
  throw new ModelError('weights-mismatch', message);
}
