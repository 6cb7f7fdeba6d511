import { parameterShapes, parseModelConfig } from '../config.ts';
import type { ModelConfig } from '../config.ts';
import { ModelError } from '../errors.ts';
import { openSafetensors, readSafetensors, writeSafetensors } from './safetensors.ts';
import type { TensorData } from './safetensors.ts';
import { streamSafetensors } from './safetensors-stream.ts';
import type { LaterTensor } from './safetensors-stream.ts';
import type { Values } from '../step-runner.ts';

/** Where the config stands in the metadata of a weights file. */
const configKey = 'millrace.config';

export interface WeightsFileContent {
  readonly config: ModelConfig;
  readonly weights: Values;
}

/** Writes weights with their config, so that the file alone makes a model. */
export function writeWeights(path: string, { config, weights }: WeightsFileContent): void {
  writeSafetensors(path, withShapes(weights, parameterShapes(config)), metadataOf(config));
}

/** The same file, slice by slice; see `streamSafetensors`. */
export function streamWeights(path: string, config: ModelConfig, take: (name: string) => Float32Array): Promise<void> {
  return streamSafetensors(path, laterTensors(parameterShapes(config), take), metadataOf(config));
}

/** Tensors of the given shapes whose values `take` will give. */
export function laterTensors(
  shapes: ReadonlyMap<string, readonly number[]>,
  take: (name: string) => Float32Array,
): Map<string, LaterTensor> {
  return new Map([...shapes].map(([name, shape]) => [name, { dtype: 'F32', shape, take: () => take(name) }]));
}

function metadataOf(config: ModelConfig): Record<string, string> {
  return { format: 'pt', [configKey]: JSON.stringify(config) };
}

/**
 * Reads and checks a weights file. Throws `weights-corrupt` when it is damaged, lacks its config or holds a number that
 * is not finite, and `weights-mismatch` when its tensors are not those of its config.
 */
export function readWeights(path: string): WeightsFileContent {
  const { tensors, metadata } = readSafetensors(path);
  const config = readConfig(path, metadata[configKey]);
  const weights = takeValues(path, tensors, parameterShapes(config));
  for (const [name, values] of weights) {
    if (values.every(Number.isFinite)) continue;
    throw new ModelError('weights-corrupt', `Tensor "${name}" in ${path} is not finite. Use an older checkpoint.`);
  }
  return { config, weights };
}

/** A weights file whose tensors are read one by one, so that they need not all be in memory. */
export interface OpenWeights {
  readonly config: ModelConfig;
  /** Values of one of the config's tensors. */
  take(name: string): Float32Array;
  close(): void;
}

/** Throws as `readWeights` does, here or when a tensor is taken; but a file's numbers are taken as they are. */
export function openWeights(path: string): OpenWeights {
  const file = openSafetensors(path);
  try {
    const config = readConfig(path, file.metadata[configKey]);
    const shapes = parameterShapes(config);
    return {
      config,
      take(name) {
        const shape = shapes.get(name) ?? [];
        const values = takeValues(path, new Map([[name, file.read(name)]]), new Map([[name, shape]])).get(name);
        return values ?? new Float32Array();
      },
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** What the shapes of tensors do not tell. */
const FUNCTION = [
  'layers',
  'heads',
  'tieEmbeddings',
  'qkNorm',
  'ropeTheta',
  'rmsNormEps',
  'activation',
  'logitSoftCap',
] as const satisfies readonly (keyof ModelConfig)[];

/** Throws `weights-mismatch` when weights of one config do not fit a model of another; says where they first differ. */
export function requireSameModel(path: string, found: ModelConfig, expected: ModelConfig): void {
  const advice = 'Use the config that the weights were made with, or start with fresh weights.';
  const foundShapes = parameterShapes(found);
  for (const [name, shape] of parameterShapes(expected)) {
    const other = foundShapes.get(name);
    if (other?.join() === shape.join()) continue;
    const there = other ? `[${other.join(', ')}]` : 'missing';
    const message = `Tensor "${name}" should be [${shape.join(', ')}], but is ${there} in ${path}. ${advice}`;
    throw new ModelError('weights-mismatch', message);
  }
  for (const key of FUNCTION) {
    if (found[key] === expected[key]) continue;
    const message = `\`${key}\` should be ${expected[key]}, but the weights in ${path} have ${found[key]}. ${advice}`;
    throw new ModelError('weights-mismatch', message);
  }
}

/** Throws `weights-mismatch` when two models do not know the same number of tokens. */
export function requireSameVocabulary(path: string, found: ModelConfig, expected: ModelConfig): void {
  if (found.vocabSize === expected.vocabSize) return;
  const message = `The weights in ${path} know ${found.vocabSize} tokens, but those before knew ${expected.vocabSize}. Use weights of the same tokenizer.`;
  throw new ModelError('weights-mismatch', message);
}

/** Values of the tensors that must be there, each checked against its shape. */
export function takeValues(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  shapes: ReadonlyMap<string, readonly number[]>,
): Map<string, Float32Array> {
  const values = new Map<string, Float32Array>();
  for (const [name, shape] of shapes) {
    const tensor = tensors.get(name);
    if (tensor?.dtype === 'F32' && tensor.shape.join() === shape.join()) {
      values.set(name, tensor.data);
      continue;
    }
    const there = tensor ? `${tensor.dtype} [${tensor.shape.join(', ')}]` : 'missing';
    const message = `Tensor "${name}" should be F32 [${shape.join(', ')}], but is ${there} in ${path}.`;
    throw new ModelError('weights-mismatch', `${message} Use the config that the weights were made with.`);
  }
  return values;
}

/** Values as tensors of the format, in the order of the shapes. */
function withShapes(values: Values, shapes: ReadonlyMap<string, readonly number[]>): Map<string, TensorData> {
  const tensors = new Map<string, TensorData>();
  for (const [name, shape] of shapes) {
    const data = values.get(name);
    if (!data) throw new ModelError('weights-mismatch', `There are no values for "${name}".`);
    tensors.set(name, { dtype: 'F32', shape, data });
  }
  return tensors;
}

function readConfig(path: string, json: string | undefined): ModelConfig {
  try {
    return parseModelConfig(JSON.parse(json ?? ''));
  } catch (cause) {
    const message = `${path} does not hold a valid model config under "${configKey}". Use weights that Millrace wrote.`;
    throw new ModelError('weights-corrupt', message, { cause });
  }
}
