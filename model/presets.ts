import type { ModelConfig } from './config.ts';
import type { ScheduleSettings } from './schedule.ts';
import type { OptimizerSettings } from './settings.ts';

/** A model and what trains it well. */
export interface Preset {
  readonly model: ModelConfig;
  /** Rows of `maxContext` tokens per step. */
  readonly batchRows: number;
  readonly optimizer: OptimizerSettings;
  readonly schedule: ScheduleSettings;
}

export const presetNames = ['nano', 'small', 'base', 'fast-nano', 'fast-small', 'fast-base'] as const;

export type PresetName = (typeof presetNames)[number];

const maths = {
  ropeTheta: 10_000,
  rmsNormEps: 1e-6,
  qkNorm: true,
  initializerRange: 0.02,
  zeroInit: false,
  activation: 'swiglu',
  logitSoftCap: null,
} as const;

const adamW = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 } as const;

const plain = {
  /** 0.8M parameters: learns within seconds; for tests and first tries. */
  nano: {
    model: {
      ...maths,
      vocabSize: 512,
      hiddenSize: 128,
      layers: 4,
      heads: 4,
      kvHeads: 4,
      headDim: 32,
      intermediateSize: 320,
      maxContext: 64,
      tieEmbeddings: true,
    },
    batchRows: 8,
    optimizer: { ...adamW, learningRate: 2e-3 },
    schedule: { warmupTokens: 10_000, finalFraction: 0.1 },
  },
  /** 13.8M parameters: the default; learns English from 10 MB of text on two cores within minutes. */
  small: {
    model: {
      ...maths,
      vocabSize: 4096,
      hiddenSize: 384,
      layers: 6,
      heads: 6,
      kvHeads: 6,
      headDim: 64,
      intermediateSize: 1024,
      maxContext: 256,
      tieEmbeddings: false,
    },
    batchRows: 4,
    optimizer: { ...adamW, learningRate: 3e-3 },
    schedule: { warmupTokens: 50_000, finalFraction: 0.1 },
  },
  /** 123.6M parameters: the size of GPT-2's smallest. */
  base: {
    model: {
      ...maths,
      vocabSize: 50_304,
      hiddenSize: 768,
      layers: 12,
      heads: 12,
      kvHeads: 12,
      headDim: 64,
      intermediateSize: 2048,
      maxContext: 1024,
      tieEmbeddings: true,
    },
    batchRows: 4,
    optimizer: { ...adamW, learningRate: 6e-4 },
    schedule: { warmupTokens: 2_000_000, finalFraction: 0.1 },
  },
} as const satisfies Readonly<Record<string, Preset>>;

/**
 * The same size, made to learn more from less text (Jordan et al. 2024, the speedruns of nanoGPT): Muon for hidden
 * matrices, squared ReLU, projections that begin at zero, a head of its own within a soft cap. Hugging Face's classes have
 * no such model.
 */
function fast({ model, schedule, ...preset }: Preset, warmupTokens: number): Preset {
  return {
    ...preset,
    model: {
      ...model,
      // A gate's third matrix goes into the width.
      intermediateSize: 4 * model.hiddenSize,
      tieEmbeddings: false,
      activation: 'relu2',
      logitSoftCap: 30,
      initializerRange: 0.03,
      zeroInit: true,
    },
    optimizer: {
      ...adamW,
      epsilon: 1e-10,
      weightDecay: 0,
      clipNorm: 10,
      learningRate: 0.02,
      zLoss: 1e-4,
      muon: { momentum: 0.95, embedding: 1, head: 0.2, gains: 0.5 },
    },
    schedule: { ...schedule, warmupTokens },
  };
}

export const presets: Readonly<Record<PresetName, Preset>> = {
  ...plain,
  'fast-nano': fast(plain.nano, 10_000),
  'fast-small': fast(plain.small, 30_000),
  'fast-base': fast(plain.base, 500_000),
};
