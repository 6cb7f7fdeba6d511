import { readFileSync } from 'node:fs';

/**
 * `tally.mjs TESTS CODE INTEROP CODE CHECKS CODE`: names what failed in vitest's JSON reports and in the report of the
 * checks, prints `N passed, N failed`, and ends with 1 when anything failed. A check counts as one test; so do a test file that could not
 * be run, a skipped test (none may be, here), and a command that failed without a report of why.
 */
const [testsFile = '', testsCode, interopFile = '', interopCode, checksFile = '', checksCode] = process.argv.slice(2);

/** @param {{ testResults: FileResult[] }} report */
const byVitest = ({ testResults }) => testResults.flatMap(outcomesOfFile);

const tests = tally('npm test', testsFile, testsCode, byVitest);
const interop = tally('npm run test:interop', interopFile, interopCode, byVitest);
const checks = tally('npm run check', checksFile, checksCode, (report) =>
  report.map((/** @type {{ name: string, ok: boolean }} */ { name, ok }) => ({ name: `check:${name}`, ok, why: '' })),
);
const outcomes = [...tests, ...interop, ...checks];
const failed = outcomes.filter(({ ok }) => !ok);
for (const { name, why } of failed) console.log(`\nfailed: ${name}\n${why}`);
console.log(`\n${outcomes.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;

/**
 * @typedef {{ name: string, ok: boolean, why: string }} Outcome
 * @typedef {{ status: string, fullName: string, failureMessages?: string[] }} TestResult
 * @typedef {{ name: string, status: string, message?: string, assertionResults: TestResult[] }} FileResult
 */

/**
 * @param {FileResult} file
 * @returns {Outcome[]}
 */
function outcomesOfFile({ name, status, message = '', assertionResults }) {
  if (assertionResults.length === 0) return [{ name, ok: status === 'passed', why: message }];
  return assertionResults.map((test) => ({
    name: `${name}: ${test.fullName}`,
    ok: test.status === 'passed',
    why: (test.failureMessages ?? [test.status]).join('\n'),
  }));
}

/**
 * @param {string} command
 * @param {string} file
 * @param {string | undefined} code exit code of the command that wrote the report
 * @param {(report: any) => Outcome[]} read
 * @returns {Outcome[]}
 */
function tally(command, file, code, read) {
  const outcomes = outcomesIn(file, read);
  if (code === '0' || outcomes.some(({ ok }) => !ok)) return outcomes;
  return [
    ...outcomes,
    { name: command, ok: false, why: `ended with ${code}, and its report names nothing that failed` },
  ];
}

/**
 * @param {string} file
 * @param {(report: any) => Outcome[]} read
 * @returns {Outcome[]}
 */
function outcomesIn(file, read) {
  try {
    return read(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return [];
  }
}
