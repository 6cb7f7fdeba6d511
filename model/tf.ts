import { createRequire } from 'node:module';
import util from 'node:util';
import type * as Tfjs from '@tensorflow/tfjs-node';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node/dist/nodejs_kernel_backend.js';
import { ModelError } from './errors.ts';

/**
 * Loads tfjs-node. Two things must be in place before: TensorFlow reads its log level once, at load, and tfjs-node 4.22
 * calls `util.isNullOrUndefined`, which Node 23 removed.
 */
export function loadEngine(require: NodeJS.Require): typeof Tfjs {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  if (!('isNullOrUndefined' in util)) {
    Object.defineProperty(util, 'isNullOrUndefined', { value: isNullOrUndefined });
  }
  try {
    return require('@tensorflow/tfjs-node');
  } catch (cause) {
    throw new ModelError(
      'engine-missing',
      'The TensorFlow engine cannot be loaded. Run `npx millrace setup`; `npx millrace doctor` says what is wrong.',
      { cause },
    );
  }
}

function isNullOrUndefined(value: unknown): boolean {
  return value === null || value === undefined;
}

const require = createRequire(import.meta.url);

/** The one instance of tfjs. Only files that run tensors import it; all others import its types. */
export const tf: typeof Tfjs = loadEngine(require);

/** Behind tfjs: runs any TensorFlow operation by its name, those included that tfjs does not offer. */
export const backend: NodeJSKernelBackend = require('@tensorflow/tfjs-node/dist/nodejs_kernel_backend').nodeBackend();
