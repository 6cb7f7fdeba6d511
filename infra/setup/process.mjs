import { spawn } from 'node:child_process';

/** Enough of a child's output to see why it failed. */
const TAIL_CHARACTERS = 4_000;

/**
 * @typedef {object} Finished
 * @property {boolean} ok whether it could be started and ended with code 0
 * @property {string} output the end of what it wrote, standard error included
 */

/**
 * Runs a command to its end. Never rejects: a command that cannot be started has failed like any other.
 *
 * @param {readonly string[]} command program and arguments
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs?: number }} [options]
 * @returns {Promise<Finished>}
 */
export function run([program = '', ...args], { cwd, env, timeoutMs } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, timeout: timeoutMs, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    /** @param {Buffer} chunk */
    const keep = (chunk) => {
      output = (output + chunk.toString()).slice(-TAIL_CHARACTERS);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => resolve({ ok: false, output: error.message }));
    child.on('close', (code, signal) => {
      if (signal) output += `\nended by ${signal}`;
      resolve({ ok: code === 0, output: output.trim() });
    });
  });
}
