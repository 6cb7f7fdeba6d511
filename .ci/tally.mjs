import { readFileSync } from 'node:fs';

/**
 * `tally.mjs TESTS CODE CHECKS CODE`: prints `N passed, N failed` over vitest's JSON report and the report of the checks,
 * and ends with 1 when anything failed. A check counts as one test; so do a test file that could not be run, a skipped
 * test (none may be, here), and a command that failed without a report of why.
 */
const [testsFile = '', testsCode, checksFile = '', checksCode] = process.argv.slice(2);

const tests = tally(testsFile, testsCode, (report) =>
  report.testResults.flatMap((/** @type {FileResult} */ { status, assertionResults }) =>
    assertionResults.length > 0 ? assertionResults.map((test) => test.status === 'passed') : [status === 'passed'],
  ),
);
const checks = tally(checksFile, checksCode, (report) => report.map((/** @type {{ ok: boolean }} */ { ok }) => ok));
const outcomes = [...tests, ...checks];
const passed = outcomes.filter(Boolean).length;
console.log(`${passed} passed, ${outcomes.length - passed} failed`);
process.exitCode = passed === outcomes.length ? 0 : 1;

/** @typedef {{ status: string, assertionResults: { status: string }[] }} FileResult */

/**
 * @param {string} file
 * @param {string | undefined} code exit code of the command that wrote the report
 * @param {(report: any) => boolean[]} read
 * @returns {boolean[]}
 */
function tally(file, code, read) {
  const outcomes = outcomesIn(file, read);
  return code === '0' || outcomes.includes(false) ? outcomes : [...outcomes, false];
}

/**
 * @param {string} file
 * @param {(report: any) => boolean[]} read
 * @returns {boolean[]}
 */
function outcomesIn(file, read) {
  try {
    return read(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return [];
  }
}
