import { MillraceError } from '../../operators/errors.ts';

/** An answer to a request that can't be served, in the form of OpenAI's API. */
export class ApiError extends Error {
  readonly status: number;
  /** The field that is wrong. */
  readonly param: string | null;
  readonly code: string | null;

  constructor(status: number, message: string, details: { readonly param?: string; readonly code?: string } = {}) {
    super(message);
    this.status = status;
    this.param = details.param ?? null;
    this.code = details.code ?? null;
  }
}

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** Status and body for any error; what is not the client's fault shows its code, and no more of the inside. */
export function errorAnswer(error: unknown): { readonly status: number; readonly body: ErrorBody } {
  const known = toApiError(error);
  const { status, message, param, code } = known;
  return { status, body: { error: { message, type: typeOf(status), param, code } } };
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof MillraceError) {
    if (error.code === 'input-invalid') return new ApiError(400, error.message, { code: error.code });
    return new ApiError(503, 'The model cannot answer now. Try again in a while.', { code: error.code });
  }
  // Fastify's own, such as a body that is too large or no JSON.
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') {
    return new ApiError(error.statusCode, error.message);
  }
  return new ApiError(500, 'Something went wrong here. The log of the job says what.');
}

function typeOf(status: number): string {
  if (status === 401 || status === 403) return 'authentication_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
