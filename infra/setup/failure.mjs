/** A step of the set-up that failed: what failed, and the command that mends it. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {string} mend a command, or what to do where no command does it
   * @param {ErrorOptions} [options]
   */
  constructor(message, mend, options) {
    super(message, options);
    this.name = 'SetupError';
    this.mend = mend;
  }
}

/**
 * What a person reads of a failure; the stack only when `DEBUG` is set.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function explain(error) {
  const stack = process.env['DEBUG'] && error instanceof Error ? `\n${error.stack}` : '';
  if (error instanceof SetupError) return `millrace set-up failed: ${error.message}\nTo mend it: ${error.mend}${stack}`;
  const message = error instanceof Error ? error.message : String(error);
  return `millrace set-up failed: ${message}\nTo see where: DEBUG=1 npx millrace setup${stack}`;
}
