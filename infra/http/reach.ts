import { MillraceError } from '../../operators/errors.ts';

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);

/** Throws `bad-usage` where others than this machine's users could ask the model without a token. */
export function checkReach({ host, token }: { readonly host: string; readonly token?: string | undefined }): void {
  if (LOOPBACK.has(host) || token) return;
  throw new MillraceError(
    'bad-usage',
    `Whoever reaches ${host} could ask the model. Set a token (MILLRACE_HTTP_TOKEN), or listen on 127.0.0.1.`,
  );
}
