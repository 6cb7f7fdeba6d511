import { parameterShapes, sizeOf } from './config.ts';
import type { ModelConfig } from './config.ts';
import { ModelError } from './errors.ts';
import { initialTensor, initialWeights } from './init.ts';
import type { ModelState, Values } from './step-runner.ts';

/*
 * Larger models that compute what the smaller one computed (Net2Net, Chen et al. 2016; for transformers, Gesmundo & Maile
 * 2023). What is new begins as a first weight does, save that nothing new writes into what was there: the columns of the
 * two projections into the residual stream that read something new are zero, and so are their rows, and the columns of the
 * embedding, that belong to a wider residual stream. New layers are put on top, with zero projections, so each is the
 * identity. A wider residual stream is zero where it is new, which makes its root mean square smaller by √(old ÷ new):
 * gains of norms are made smaller by just that. What is left is rmsNormEps, which then weighs more by new ÷ old.
 */

const SIZES = ['layers', 'hiddenSize', 'heads', 'kvHeads', 'intermediateSize'] as const;
/** The function depends on these in a way that no weights make up for. */
const FIXED: readonly (readonly [keyof ModelConfig, string])[] = [
  ['headDim', 'rotary embedding turns every pair of a head at a speed that depends on how many there are'],
  ['ropeTheta', 'every position would be turned otherwise'],
  ['rmsNormEps', 'every norm would come out otherwise'],
  ['tieEmbeddings', 'head and embedding are one matrix or two'],
  ['qkNorm', 'queries and keys would be scaled otherwise'],
  ['vocabSize', 'its rows belong to the tokens of a vocabulary'],
  ['activation', 'the MLP would answer otherwise'],
  ['logitSoftCap', 'logits would be held within other bounds'],
];

export interface Growth {
  /** Such as `layers 4 → 6`; empty where both are of one size. */
  readonly changes: readonly string[];
  /** Why no weights of the larger model would compute the same; null where some do. */
  readonly refused: string | null;
}

/** What it takes to make a model of one config one of another. */
export function growthBetween(from: ModelConfig, to: ModelConfig): Growth {
  const differs = (key: keyof ModelConfig): boolean => from[key] !== to[key];
  const told = (key: keyof ModelConfig): string => `${key} ${from[key]} → ${to[key]}`;
  const sizes = SIZES.filter(differs);
  const changes = sizes.map(told);
  const [fixed, why] = FIXED.find(([key]) => differs(key)) ?? [];
  if (fixed) return { changes: [...changes, told(fixed)], refused: `${told(fixed)} changes what is computed: ${why}` };
  const smaller = sizes.find((key) => to[key] < from[key]);
  if (smaller) return { changes, refused: `${told(smaller)} would throw away what was learnt` };
  const isGrouped = from.kvHeads !== to.kvHeads && from.heads / from.kvHeads !== to.heads / to.kvHeads;
  if (isGrouped)
    return { changes, refused: `${told('kvHeads')} would give queries other keys: heads must grow by as much` };
  return { changes, refused: null };
}

/**
 * Weights and optimizer of a larger model that computes the same; `seed` draws what is new. Running means of the
 * optimizer begin at zero for it. Throws `weights-mismatch` where that can't be.
 */
export function growModel(state: ModelState, from: ModelConfig, to: ModelConfig, seed: number): ModelState {
  const { refused } = growthBetween(from, to);
  if (refused !== null) throw new ModelError('weights-mismatch', `The weights can't grow: ${refused}.`);
  const fresh = initialWeights({ ...to, zeroInit: true }, seed);
  // Of what a wider residual stream is and what the head makes of it, one must not begin at zero, or neither would learn.
  const head = to.tieEmbeddings ? undefined : initialTensor(HEAD, { ...to, zeroInit: false }, seed);
  const shrink = Math.sqrt(from.hiddenSize / to.hiddenSize);
  const grow = (values: Values, gain: number, beginning: (name: string) => Float32Array | undefined): Values => {
    const old = parameterShapes(from);
    const grown = [...parameterShapes(to)].map(([name, shape]): [string, Float32Array] => {
      const [there, shapeThere] = [values.get(name), old.get(name)];
      const next = beginning(name)?.slice() ?? new Float32Array(sizeOf(shape));
      // Norms of layers that are new have nothing to make up for.
      const factor = isGain(name) && there ? gain : 1;
      if (there && shapeThere) copyInto(next, shape, there, shapeThere, axesOf(name, from, to));
      return [name, factor === 1 ? next : next.map((value) => value * factor)];
    });
    return new Map(grown);
  };
  const weights = (values: Values): Values =>
    grow(values, shrink, (name) => (name === HEAD ? head : name === EMBEDDING ? undefined : fresh.get(name)));
  return {
    weights: weights(state.weights),
    // The gradient of a gain that is smaller is larger by as much.
    mean: grow(state.mean, 1 / shrink, none),
    meanSquare: grow(state.meanSquare, 1 / shrink ** 2, none),
    ...(state.ema ? { ema: weights(state.ema) } : {}),
  };
}

/** Means begin at zero. */
function none(): undefined {
  return undefined;
}

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

/** Gains over the residual stream, in which a wider one must be made up for. */
function isGain(name: string): boolean {
  return name.endsWith('layernorm.weight') || name === 'model.norm.weight';
}

/** Where an index of the old tensor is in the new one. */
type Axis = (index: number) => number;

const same: Axis = (index) => index;

/** Axes `[out, in]` of a tensor; those over heads keep each head in its group. */
function axesOf(name: string, from: ModelConfig, to: ModelConfig): readonly [Axis, Axis] {
  const [perGroup, perGroupThen] = [from.heads / from.kvHeads, to.heads / to.kvHeads];
  const queries: Axis = (index) => {
    const [head, within] = [Math.floor(index / from.headDim), index % from.headDim];
    const moved = Math.floor(head / perGroup) * perGroupThen + (head % perGroup);
    return moved * to.headDim + within;
  };
  if (name.endsWith('q_proj.weight')) return [queries, same];
  if (name.endsWith('o_proj.weight')) return [same, queries];
  return [same, same];
}

function copyInto(
  into: Float32Array,
  [, columns = 1]: readonly number[],
  from: Float32Array,
  [rowsThere = 1, columnsThere = 1]: readonly number[],
  [rowAt, columnAt]: readonly [Axis, Axis],
): void {
  for (let row = 0; row < rowsThere; row++) {
    for (let column = 0; column < columnsThere; column++) {
      into[rowAt(row) * columns + columnAt(column)] = from[row * columnsThere + column] ?? 0;
    }
  }
}
