import type { ModelErrorCode } from '../model/errors.ts';

/** Every code that Millrace reports. README lists them with what to do. */
export type ErrorCode =
  | ModelErrorCode
  | 'bad-usage'
  | 'broker-refused'
  | 'broker-unreachable'
  | 'checkpoint-corrupt'
  | 'checkpoint-incompatible'
  | 'checkpoint-write-failed'
  | 'command-invalid'
  | 'dataset-missing'
  | 'dead-letter-failed'
  | 'disk-full'
  | 'document-filtered'
  | 'document-too-large'
  | 'field-missing'
  | 'gradient-spike'
  | 'graph-invalid'
  | 'group-fenced'
  | 'group-lost'
  | 'job-busy'
  | 'job-locked'
  | 'log-closed'
  | 'log-failed'
  | 'loss-spike'
  | 'no-answer'
  | 'non-finite-loss'
  | 'offset-out-of-range'
  | 'plan-refused'
  | 'process-died'
  | 'producer-fenced'
  | 'prompt-invalid'
  | 'prompt-oversized'
  | 'record-empty'
  | 'record-not-avro'
  | 'record-not-json'
  | 'record-not-utf8'
  | 'record-too-large'
  | 'registry-refused'
  | 'registry-unreachable'
  | 'replay-cut-short'
  | 'schema-mismatch'
  | 'schema-unknown'
  | 'topic-missing'
  | 'topic-mismatch'
  | 'value-unfit'
  | 'version-changed'
  | 'webhook-failed';

/** An error that says what happened, what to do about it, and why (`cause`). */
export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
