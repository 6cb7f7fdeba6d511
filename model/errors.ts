/** Codes of the errors that the model reports. */
export type ModelErrorCode =
  | 'config-invalid'
  | 'engine-missing'
  | 'input-invalid'
  | 'shape-mismatch'
  | 'state-invalid'
  | 'tokenizer-invalid'
  | 'trace-failed'
  | 'weights-corrupt'
  | 'weights-mismatch';

/** An error of the model: a code, and a message that says what to do. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
