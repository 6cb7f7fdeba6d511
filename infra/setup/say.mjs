/** Plain lines say no more often than this how far something is. */
const LINE_EVERY_PERCENT = 20;

/**
 * Tells the person in front of the terminal what goes on. All of it goes to standard error: standard output belongs to
 * the command that the set-up precedes.
 *
 * @param {string} text
 */
export function say(text) {
  process.stderr.write(`millrace: ${text}\n`);
}

/**
 * Shows how far a download is: one line that is rewritten on a terminal, a line now and then elsewhere.
 *
 * @param {string} what
 * @param {number} totalBytes
 * @returns {{ at(bytes: number): void, end(): void }}
 */
export function progress(what, totalBytes) {
  const isTerminal = process.stderr.isTTY;
  let nextPercent = 0;
  return {
    at(bytes) {
      const percent = Math.min(100, Math.floor((100 * bytes) / totalBytes));
      const text = `${what}: ${megabytes(bytes)} of ${megabytes(totalBytes)} MB (${percent} %)`;
      if (isTerminal) {
        process.stderr.write(`\r\u001B[Kmillrace: ${text}`);
      } else if (percent >= nextPercent) {
        say(text);
        nextPercent = percent - (percent % LINE_EVERY_PERCENT) + LINE_EVERY_PERCENT;
      }
    },
    end() {
      if (isTerminal) process.stderr.write('\r\u001B[K');
    },
  };
}

/** @param {number} bytes */
function megabytes(bytes) {
  return Math.round(bytes / 1e6);
}
