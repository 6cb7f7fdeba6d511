import type { StepFault } from './types.ts';

/** When a step counts as a spike. */
export interface GuardSettings {
  /** The loss is so many standard deviations above the mean. */
  readonly sigma: number;
  /** The logarithm of the gradient's norm is so many above its mean: norms are skewed, and clipping tames the most of them. */
  readonly gradientSigma: number;
  /** Steps that mean and deviation are taken over. */
  readonly window: number;
}

/** Figures of the newest steps, oldest first. */
export type GuardWindow = {
  readonly losses: readonly number[];
  readonly gradNorms: readonly number[];
};

/** What a step may come to at most, to be taken. */
export interface StepLimits {
  readonly maxLoss: number;
  readonly maxGradNorm: number;
}

export const NOTHING_SEEN: GuardWindow = { losses: [], gradNorms: [] };
export const NO_LIMITS: StepLimits = { maxLoss: Infinity, maxGradNorm: Infinity };

/** A relative deviation counts as at least so much: where figures hardly differ, a small difference is no spike. */
const LEAST_DEVIATION = 0.03;

/**
 * Limits of the next step: mean plus sigma standard deviations over the window (of the gradient in logarithms), winsorized. That is, a figure beyond its
 * limit goes into the window as the limit was. So one outlier moves the limits little, while a lasting change, such as text
 * of another kind, moves them on until it is taken. Before the window is full there are none.
 */
export function limitsOf({ losses, gradNorms }: GuardWindow, guard: GuardSettings): StepLimits {
  if (losses.length < guard.window) return NO_LIMITS;
  const loss = momentsOf(losses);
  const gradient = momentsOf(gradNorms.map(Math.log));
  return {
    maxLoss: loss.mean + guard.sigma * Math.max(loss.deviation, LEAST_DEVIATION * loss.mean),
    maxGradNorm: Math.exp(gradient.mean + guard.gradientSigma * Math.max(gradient.deviation, LEAST_DEVIATION)),
  };
}

/** The window with one more step; with none that was not finite, or of a batch in which there was nothing to learn. */
export function windowAfter(
  { losses, gradNorms }: GuardWindow,
  figures: { readonly loss: number; readonly gradNorm: number },
  { maxLoss, maxGradNorm }: StepLimits,
  { window }: GuardSettings,
): GuardWindow {
  const { loss, gradNorm } = figures;
  const isFinite = Number.isFinite(loss) && Number.isFinite(gradNorm);
  if (!isFinite || gradNorm <= 0) return { losses, gradNorms };
  return {
    losses: [...losses, Math.min(loss, maxLoss)].slice(-window),
    gradNorms: [...gradNorms, Math.min(gradNorm, maxGradNorm)].slice(-window),
  };
}

/** Why a step was not taken. Figures are compared as the step does, in float32. */
export function faultOf(
  { loss, gradNorm }: { readonly loss: number; readonly gradNorm: number },
  { maxLoss }: StepLimits,
): StepFault {
  if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) return 'non-finite-loss';
  return loss > Math.fround(maxLoss) ? 'loss-spike' : 'gradient-spike';
}

function momentsOf(values: readonly number[]): { readonly mean: number; readonly deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}
