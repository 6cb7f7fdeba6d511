import { parameterShapes, presets } from '../../model/index.ts';
import type { ModelConfig, StepInput, TrainerSettings } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import type { Parameters } from '../../model/parameters.ts';
import { Random } from '../../model/random.ts';
import { toParameters } from '../../model/to-tensors.ts';

/** As small as a model can be and still have two of everything. */
export const tinyConfig: ModelConfig = {
  vocabSize: 17,
  hiddenSize: 8,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  intermediateSize: 12,
  maxContext: 16,
  ropeTheta: 100,
  rmsNormEps: 1e-5,
  tieEmbeddings: false,
  qkNorm: true,
  initializerRange: 0.3,
  zeroInit: false,
  activation: 'swiglu',
  logitSoftCap: null,
};

/** Every switch of the config at least once on and off. */
export const variants: readonly { readonly name: string; readonly config: ModelConfig }[] = [
  { name: 'grouped queries, QK-norm, own head', config: tinyConfig },
  { name: 'one key head for all, tied head', config: { ...tinyConfig, kvHeads: 1, tieEmbeddings: true } },
  { name: 'a key head each, no QK-norm', config: { ...tinyConfig, kvHeads: 4, qkNorm: false } },
  { name: 'squared ReLU, capped logits', config: { ...tinyConfig, activation: 'relu2', logitSoftCap: 2 } },
];

/** Those that Hugging Face's classes compute, too. */
export const knownVariants: typeof variants = variants.filter(
  ({ config }) => config.activation === 'swiglu' && config.logitSoftCap === null,
);

export const tinySettings: TrainerSettings = {
  model: tinyConfig,
  seed: 7,
  optimizer: { ...presets.nano.optimizer, learningRate: 0.02 },
  schedule: { warmupTokens: 64, finalFraction: 0.1 },
  accumulate: 1,
};

export function tinyWeights(config: ModelConfig, seed = 7): Parameters {
  return toParameters(initialWeights(config, seed), parameterShapes(config));
}

interface BatchShape {
  readonly rows?: number;
  readonly context?: number;
  readonly vocabSize?: number;
}

/** A batch of random tokens that follow one another. */
export function randomBatch(
  seed: number,
  { rows = 2, context = 8, vocabSize = tinyConfig.vocabSize }: BatchShape = {},
): StepInput {
  const random = new Random(seed);
  const draw = (): number => random.bits() % vocabSize;
  const ids = Int32Array.from({ length: rows * context }, draw);
  const targets = ids.map((_, at) => ((at + 1) % context === 0 ? draw() : (ids[at + 1] ?? 0)));
  return { rows, context, ids, targets, lossMask: new Float32Array(rows * context).fill(1) };
}
