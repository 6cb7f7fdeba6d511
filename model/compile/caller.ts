/** The place in the traced code that is being run: the innermost call that is neither tfjs's nor the compiler's own. */
export function callerLine(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 100;
  const stack = new Error('where').stack ?? '';
  Error.stackTraceLimit = limit;
  const line = stack
    .split('\n')
    .slice(1)
    .find((frame) => !/@tensorflow|tfjs-|node:|<anonymous>|model[\\/]compile[\\/]/.test(frame));
  return line?.trim().replace(/^at /, '') ?? 'an unknown place';
}
