import { z } from 'zod';

/** Where a secret is kept. The secret itself never stands in a graph, which is shown, hashed and committed. */
export type SecretSpec = { readonly env: string } | { readonly file: string };

export const secretSchema: z.ZodType<SecretSpec> = z.union(
  [z.strictObject({ env: z.string().regex(/^[A-Za-z_]\w*$/) }), z.strictObject({ file: z.string().min(1) })],
  { error: 'A secret does not belong in a graph. Say where it is: { env: NAME_OF_VARIABLE } or { file: path }.' },
);

/** An address without a password in it. */
export const urlSchema: z.ZodType<string> = z
  .string()
  .refine(isUrl, 'must be a URL that begins with http:// or https://')
  .refine(
    (text) => !isUrl(text) || !hasCredentials(text),
    'A secret does not belong in a URL. Say where it is: password: { env: NAME_OF_VARIABLE } or { file: path }.',
  );

function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text);
}

function hasCredentials(text: string): boolean {
  const { username, password } = new URL(text);
  return username !== '' || password !== '';
}
