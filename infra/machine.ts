import { readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** What the speed of an engine depends on, besides its own settings. */
export interface Machine {
  /** The processor's name. */
  readonly processor: string;
  /** Its instructions for vectors and matrices. */
  readonly features: readonly string[];
  /** Threads that can run at once. */
  readonly threads: number;
  /** Which TensorFlow is installed: its folder in the cache, which names the version, and its size. */
  readonly tensorflow: string;
}

const FEATURES = /^(avx\w*|amx\w*|fma|f16c|bf16|asimd\w*|sve\w*|i8mm)$/;

/** Looks at this machine. Where the system does not tell, fields are empty. */
export function thisMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? process.arch,
    features: processorFeatures(),
    threads: availableParallelism(),
    tensorflow: tensorflow(),
  };
}

/** Whether the processor multiplies bfloat16 itself. Elsewhere than on Linux nobody has measured it. */
export function multipliesBfloat16({ features }: Pick<Machine, 'features'>): boolean {
  return features.includes('avx512_bf16') || features.includes('amx_bf16');
}

function processorFeatures(): readonly string[] {
  try {
    const [, flags = ''] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? [];
    return flags
      .trim()
      .split(' ')
      .filter((flag) => FEATURES.test(flag))
      .toSorted();
  } catch {
    return [];
  }
}

function tensorflow(): string {
  try {
    const manifest = createRequire(import.meta.url).resolve('@tensorflow/tfjs-node/package.json');
    const folder = join(dirname(manifest), 'deps', 'lib');
    const libraries = readdirSync(folder)
      .filter((name) => name.startsWith('libtensorflow'))
      .toSorted();
    const paths = libraries.map((name) => realpathSync(join(folder, name)));
    const sizes = paths.map((path) => statSync(path).size);
    return `${basename(dirname(dirname(paths[0] ?? '')))} ${sizes.join('+')}`;
  } catch {
    return '';
  }
}
