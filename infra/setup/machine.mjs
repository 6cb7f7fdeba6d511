import { existsSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { findCompiler, findPip, installCommand } from './tools.mjs';

/** @import { Row } from './doctor.mjs' */
/** @import { Need, Tool } from './tools.mjs' */

/** A run of the default preset keeps five checkpoints and its topics; below this it may not fit. */
const LOW_DISK_BYTES = 2e9;
/** Processor features that the engine is faster with, newest first. */
const FEATURES = ['amx_bf16', 'avx512_bf16', 'avx512f', 'avx2', 'fma', 'avx', 'bf16', 'asimd'];

/**
 * What the doctor reports of the machine: tools, disk, processor.
 *
 * @param {string} cache
 * @param {boolean} isInstalled then the tools are needed no more
 * @returns {Promise<Row[]>}
 */
export async function examineMachine(cache, isInstalled) {
  const tools = [
    toolRow('C++ compiler', await findCompiler(), 'compiler', isInstalled),
    toolRow("Python's pip", await findPip(), 'pip', isInstalled),
  ];
  return [
    ...tools,
    await diskRow('Disk of the cache', cache),
    await diskRow('Disk here', process.cwd()),
    await processorRow(),
  ];
}

/**
 * @param {string} name
 * @param {Tool | undefined} tool
 * @param {Need} need
 * @param {boolean} isInstalled
 * @returns {Row}
 */
function toolRow(name, tool, need, isInstalled) {
  if (tool) return { name, status: 'ok', detail: `${tool.version} (${tool.command.join(' ')})` };
  if (isInstalled) return { name, status: 'note', detail: 'not there, and not needed now' };
  return { name, status: 'missing', detail: 'not there', mend: installCommand([need]) };
}

/**
 * @param {string} name
 * @param {string} folder
 * @returns {Promise<Row>}
 */
async function diskRow(name, folder) {
  let there = folder;
  while (!existsSync(there)) there = dirname(there);
  const { bavail, bsize } = await statfs(there);
  const detail = `${((bavail * bsize) / 1e9).toFixed(1)} GB free in ${there}`;
  return { name, status: bavail * bsize < LOW_DISK_BYTES ? 'note' : 'ok', detail };
}

/** @returns {Promise<Row>} */
async function processorRow() {
  const name = 'Processor';
  const model = cpus()[0]?.model.trim() ?? process.arch;
  const flags = await processorFlags();
  const features = FEATURES.filter((feature) => flags?.has(feature));
  const detail = [
    `${availableParallelism()} × ${model}`,
    ...features,
    `${(totalmem() / 1e9).toFixed(0)} GB memory`,
  ].join(', ');
  if (process.arch === 'x64' && flags && !flags.has('avx')) {
    return { name, status: 'missing', detail, mend: 'use a machine with AVX, which TensorFlow is built for' };
  }
  return { name, status: 'ok', detail };
}

/** @returns {Promise<Set<string> | undefined>} undefined where the system does not tell */
async function processorFlags() {
  try {
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(await readFile('/proc/cpuinfo', 'utf8'));
    return line?.[1] === undefined ? undefined : new Set(line[1].trim().split(' '));
  } catch {
    return undefined;
  }
}
