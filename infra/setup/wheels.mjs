/**
 * PyPI's wheels of TensorFlow: each holds the C library and its headers. Any Python 3 can fetch them, as they are asked
 * for by platform. Only linux-x64 is tested; the others hold the same files under the same names.
 *
 * @typedef {object} Wheel
 * @property {string} package
 * @property {string} version
 * @property {string} platform as pip calls it
 * @property {number} bytes
 * @property {string} sha256
 * @property {readonly string[]} libraries
 */

const VERSION = '2.21.0';
const elf = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
const machO = ['libtensorflow_cc.2.dylib', 'libtensorflow_framework.2.dylib'];

/** @type {Readonly<Record<string, Wheel>>} */
const wheels = {
  'linux-x64': {
    package: 'tensorflow-cpu',
    version: VERSION,
    platform: 'manylinux_2_27_x86_64',
    bytes: 273_829_956,
    sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
    libraries: elf,
  },
  'linux-arm64': {
    package: 'tensorflow',
    version: VERSION,
    platform: 'manylinux_2_27_aarch64',
    bytes: 281_828_020,
    sha256: '4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c',
    libraries: elf,
  },
  'darwin-arm64': {
    package: 'tensorflow',
    version: VERSION,
    platform: 'macosx_12_0_arm64',
    bytes: 223_405_849,
    sha256: '51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88',
    libraries: machO,
  },
};

/** @returns {Wheel | undefined} */
export function wheelForThisMachine() {
  return wheels[`${process.platform}-${process.arch}`];
}

/**
 * Name of the bundle in the cache that the wheel's libraries and headers go to.
 *
 * @param {Wheel} wheel
 */
export function bundleName(wheel) {
  return `${wheel.package}-${wheel.version}-${wheel.platform}`;
}
