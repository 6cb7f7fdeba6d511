import { SetupError } from './failure.mjs';

/** @import { Part } from './parts.mjs' */

const NEEDED = { major: 20, minor: 19 };
const mend = `install Node ${NEEDED.major}.${NEEDED.minor} or later, for instance from nodejs.org`;

/** @type {Part} */
export const nodeVersion = {
  name: 'Node',
  async check() {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    const ok = major > NEEDED.major || (major === NEEDED.major && minor >= NEEDED.minor);
    return ok ? { ok, detail: process.version } : { ok, detail: `${process.version} is too old`, mend };
  },
  async mend() {
    throw new SetupError(`Node ${process.version} is too old`, mend);
  },
};
