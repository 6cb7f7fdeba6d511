import { createHash, timingSafeEqual } from 'node:crypto';
import type { onRequestAsyncHookHandler } from 'fastify';
import { ApiError } from './api-error.ts';

/** Lets through only who brings the token (RFC 6750). How long it takes says nothing about what was wrong. */
export function requireToken(token: string): onRequestAsyncHookHandler {
  const expected = digest(`Bearer ${token}`);
  return async ({ headers }) => {
    if (timingSafeEqual(digest(headers.authorization ?? ''), expected)) return;
    throw new ApiError(401, 'Bring the token of this server: "Authorization: Bearer …".', { code: 'invalid_api_key' });
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
