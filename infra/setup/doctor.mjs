import { examineMachine } from './machine.mjs';
import { loadEngine } from './engine-load.mjs';
import { SetupError } from './failure.mjs';
import { engine, parts } from './parts.mjs';

/**
 * One line of the doctor's report. A `note` is worth knowing and stands in nobody's way.
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {'ok' | 'note' | 'missing'} status
 * @property {string} detail
 * @property {string} [mend]
 */

const marks = { ok: '✓', note: '·', missing: '✗' };

/** Looks at everything that Millrace needs, by hash and by trying it. @returns {Promise<Row[]>} */
async function examine() {
  /** @type {Row[]} */
  const rows = [];
  for (const { name, check } of parts) {
    const { ok, detail, mend = 'npx millrace setup' } = await check({ thorough: true });
    rows.push(ok ? { name, status: 'ok', detail } : { name, status: 'missing', detail, mend });
  }
  const isInstalled = rows.every(({ status }) => status === 'ok');
  if (isInstalled) rows.push(await tryEngine());
  return [...rows, ...(await examineMachine(engine.cache, isInstalled))];
}

/** @returns {Promise<Row>} */
async function tryEngine() {
  const name = 'TensorFlow';
  try {
    const version = await loadEngine(engine.packageDir() ?? '');
    return { name, status: 'ok', detail: `${version} loads and computes` };
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return { name, status: 'missing', detail: error.message, mend: error.mend };
  }
}

/**
 * `millrace doctor [--json]`: what is there, what is missing and the command that mends it. Returns the exit code: 0
 * when nothing is missing.
 *
 * @param {readonly string[]} args
 * @param {() => Promise<readonly Row[]>} more what only the whole of Millrace knows; asked for when nothing is missing
 */
export async function main(args, more = async () => []) {
  const unknown = args.find((arg) => arg !== '--json');
  if (unknown) {
    console.error(`millrace doctor knows no ${unknown}\nUsage: millrace doctor [--json]`);
    return 2;
  }
  const found = await examine();
  const ok = found.every(({ status }) => status !== 'missing');
  const rows = ok ? [...found, ...(await more())] : found;
  console.log(args.includes('--json') ? JSON.stringify({ ok, checks: rows }, null, 2) : table(rows, ok));
  return ok ? 0 : 1;
}

/**
 * @param {readonly Row[]} rows
 * @param {boolean} ok
 */
function table(rows, ok) {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.flatMap(({ name, status, detail, mend }) => {
    const indent = ' '.repeat(width + 4);
    const line = `${marks[status]} ${name.padEnd(width)}  ${detail.replaceAll('\n', `\n${indent}`)}`;
    return mend ? [line, `${indent}mend it with: ${mend}`] : [line];
  });
  return [...lines, '', ok ? 'All is well.' : 'Something is missing.'].join('\n');
}
