import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from './say.mjs';

const HEARTBEAT_MS = 2_000;
/** A holder that has not given a sign of life for so long is taken for dead. */
const DEAD_AFTER_MS = 20_000;
const RETRY_MS = 200;

/**
 * Runs `work` while no other process does so under the same lock file. The lock of a dead process is taken over: at once
 * when it died on this machine, else when its heartbeat has stopped. Should two processes take it over at the same
 * instant, both work; that costs time but no harm, since the cache is only ever changed by renaming.
 *
 * @template T
 * @param {string} path
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, work) {
  await mkdir(dirname(path), { recursive: true });
  const token = randomUUID();
  let isWaiting = false;
  while (!(await tryToTake(path, token))) {
    const holder = await readHolder(path);
    if (holder && isDead(holder)) {
      await takeAway(path, holder);
    } else {
      if (!isWaiting) say(`waiting for another set-up to end${holder?.pid ? ` (process ${holder.pid})` : ''}`);
      isWaiting = true;
      await sleep(RETRY_MS);
    }
  }
  const heartbeat = setInterval(() => {
    utimes(path, new Date(), new Date()).catch(() => undefined); // taken over: nothing left to keep alive
  }, HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    if ((await readHolder(path))?.token === token) await rm(path, { force: true });
  }
}

/**
 * @typedef {object} Holder
 * @property {number} [pid]
 * @property {string} [host]
 * @property {string} [token]
 * @property {number} aliveAtMs
 */

/**
 * @param {string} path
 * @param {string} token
 */
async function tryToTake(path, token) {
  try {
    await writeFile(path, JSON.stringify({ pid: process.pid, host: hostname(), token }), { flag: 'wx' });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * @param {string} path
 * @returns {Promise<Holder | undefined>} undefined when the lock is free
 */
async function readHolder(path) {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return { ...parse(text), aliveAtMs: mtimeMs };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/**
 * @param {string} text
 * @returns {{ pid?: number, host?: string, token?: string }} empty when its writer is not done, or died over it
 */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** @param {Holder} holder */
function isDead({ pid, host, aliveAtMs }) {
  if (Date.now() - aliveAtMs > DEAD_AFTER_MS) return true;
  return pid !== undefined && host === hostname() && !isRunning(pid);
}

/** @param {number} pid */
function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

/**
 * Renames before it removes, so that of two who want to take away the same lock only one can.
 *
 * @param {string} path
 * @param {Holder} dead
 */
async function takeAway(path, dead) {
  const aside = `${path}.${randomUUID()}`;
  try {
    if ((await readHolder(path))?.token !== dead.token) return;
    await rename(path, aside);
    await rm(aside, { force: true });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/**
 * @param {unknown} error
 * @param {string} code
 */
function hasCode(error, code) {
  return error instanceof Error && 'code' in error && error.code === code;
}
