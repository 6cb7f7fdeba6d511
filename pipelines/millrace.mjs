#!/usr/bin/env node
/**
 * The command `millrace`. `setup`, `doctor` and `kafka` need nothing but Node; everything else is the CLI, which runs from the
 * sources in a checkout and from `dist` in the package.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [command, ...rest] = process.argv.slice(2);
/** These need the engine; what is missing is better said before they start. */
const needEngine = new Set(['up', 'generate']);

process.exitCode = await main();

async function main() {
  if (command === 'doctor') return (await import('../infra/setup/doctor.mjs')).main(rest, engineRows);
  if (command === 'setup') return setUp();
  if (command === 'kafka') return (await import('../infra/kafka/broker/main.mjs')).main(rest);
  const missing = await whatIsMissing();
  if (missing) {
    console.error(`millrace is not set up (${missing}).\nTo mend it: npx millrace setup`);
    return 1;
  }
  const { main: run } = await importCli();
  return run(process.argv.slice(2));
}

async function setUp() {
  if (rest.length === 0) return (await import('../infra/setup/setup.mjs')).main({ thorough: true });
  if (rest[0] === '--help') {
    console.log('Usage: millrace setup\nInstalls what is missing; millrace doctor says what that is.');
    return 0;
  }
  console.error(`millrace setup knows no ${rest[0]}\nUsage: millrace setup`);
  return 2;
}

/** @returns {Promise<string | undefined>} */
async function whatIsMissing() {
  const { parts } = await import('../infra/setup/parts.mjs');
  for (const { name, check } of needEngine.has(command ?? '') ? parts : parts.slice(0, 2)) {
    const { ok, detail } = await check();
    if (!ok) return `${name}: ${detail}`;
  }
  return undefined;
}

/** @returns {Promise<readonly import('../infra/setup/doctor.mjs').Row[]>} */
async function engineRows() {
  return (await importCli()).engineRows();
}

/**
 * @typedef {object} Cli
 * @property {(argv: string[]) => Promise<number>} main
 * @property {() => Promise<readonly import('../infra/setup/doctor.mjs').Row[]>} engineRows
 */

/** @returns {Promise<Cli>} */
async function importCli() {
  const source = new URL('cli.ts', import.meta.url);
  if (!existsSync(fileURLToPath(source))) return import(new URL('../dist/pipelines/cli.js', import.meta.url).href);
  const { register } = await import('tsx/esm/api');
  register();
  return import(source.href);
}
