import { existsSync } from 'node:fs';
import { run } from './process.mjs';

/**
 * @typedef {object} Tool
 * @property {readonly string[]} command program, and arguments that always come first
 * @property {string} version as the tool gives it
 */

/** @typedef {'compiler' | 'pip'} Need */

/**
 * A C++ compiler: `CXX` when that is set, else the usual names.
 *
 * @returns {Promise<Tool | undefined>}
 */
export function findCompiler() {
  const chosen = process.env['CXX']?.trim().split(/\s+/);
  return firstThatRuns(chosen ? [chosen] : [['c++'], ['g++'], ['clang++']], ['--version']);
}

/**
 * A Python that has pip.
 *
 * @returns {Promise<Tool | undefined>}
 */
export async function findPip() {
  const tool = await firstThatRuns([['python3'], ['python']], ['-m', 'pip', '--version']);
  return tool && { command: tool.command, version: tool.version.replace(/ from .*/, '') };
}

/**
 * @param {readonly (readonly string[])[]} commands
 * @param {readonly string[]} probe
 * @returns {Promise<Tool | undefined>}
 */
async function firstThatRuns(commands, probe) {
  for (const command of commands) {
    const { ok, output } = await run([...command, ...probe]);
    if (ok) return { command, version: output.split('\n')[0] ?? '' };
  }
  return undefined;
}

/** How each system's own installer is called, and what it calls the things. */
const installers = [
  { path: '/usr/bin/apt-get', install: 'apt-get install', compiler: 'g++', pip: 'python3-pip' },
  { path: '/usr/bin/dnf', install: 'dnf install', compiler: 'gcc-c++', pip: 'python3-pip' },
  { path: '/usr/bin/zypper', install: 'zypper install', compiler: 'gcc-c++', pip: 'python3-pip' },
  { path: '/usr/bin/pacman', install: 'pacman -S', compiler: 'gcc', pip: 'python-pip' },
];

/**
 * The command that installs what is missing on this machine.
 *
 * @param {readonly Need[]} needs
 * @returns {string}
 */
export function installCommand(needs) {
  // Apple's command line tools bring the compiler and a Python with pip.
  if (process.platform === 'darwin') return 'xcode-select --install';
  const installer = installers.find(({ path }) => existsSync(path));
  if (!installer)
    return `install ${needs.map((need) => (need === 'pip' ? "Python's pip" : 'a C++ compiler')).join(' and ')}`;
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  return `${sudo}${installer.install} ${needs.map((need) => installer[need]).join(' ')}`;
}
