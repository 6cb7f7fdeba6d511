import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { ApiError } from './api-error.ts';

/** In which a client, or a gateway before it, says how many milliseconds it will wait for the whole response. */
const HEADER = 'Request-Timeout-Ms';

const schema = z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(1));

/** Takes a deadline from the header too; the earlier one counts. Throws an `ApiError` for what is no time. */
export function withTimeout<A extends { readonly deadlineMs: number | null }>(
  asked: A,
  headers: IncomingHttpHeaders,
): A {
  const said = headers[HEADER.toLowerCase()];
  if (said === undefined) return asked;
  const { data } = schema.safeParse(said);
  if (data !== undefined) return { ...asked, deadlineMs: Math.min(data, asked.deadlineMs ?? Infinity) };
  throw new ApiError(400, `${HEADER}: a whole number of milliseconds, 1 at least.`, { param: HEADER });
}
