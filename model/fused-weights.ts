import { parameterShapes, sizeOf } from './config.ts';
import type { ModelConfig } from './config.ts';
import { ModelError } from './errors.ts';
import type { Values } from './step-runner.ts';

/*
 * Weights as generation multiplies by them: matrices that read the same input stand below one another, since a product of
 * one token costs as much to start as to carry out, and what only scales an input is multiplied into the matrix behind it.
 * C hiddenSize, D headDim, F intermediateSize, H heads, G kvHeads, V vocabSize.
 */

/**
 * Shapes by name: `embedding [V, C]`, `head [V, C]`, and for each layer `qkv [(H + 2G)·D, C]`, `out [C, H·D]`,
 * `gateUp [2F, C]` (or `[F, C]` where the MLP has no gate), `down [C, F]`, and where the model norms queries and keys
 * `gains [H + G, D]`.
 */
export function fusedShapes(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const { vocabSize, hiddenSize, layers, heads, kvHeads, headDim, intermediateSize } = config;
  const shapes = new Map<string, readonly number[]>([['embedding', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < layers; layer++) {
    shapes.set(fusedName(layer, 'qkv'), [(heads + 2 * kvHeads) * headDim, hiddenSize]);
    if (config.qkNorm) shapes.set(fusedName(layer, 'gains'), [heads + kvHeads, headDim]);
    shapes.set(fusedName(layer, 'out'), [hiddenSize, heads * headDim]);
    shapes.set(fusedName(layer, 'gateUp'), [(hasGate(config) ? 2 : 1) * intermediateSize, hiddenSize]);
    shapes.set(fusedName(layer, 'down'), [hiddenSize, intermediateSize]);
  }
  shapes.set('head', [vocabSize, hiddenSize]);
  return shapes;
}

export type FusedPart = 'qkv' | 'gains' | 'out' | 'gateUp' | 'down';

export function fusedName(layer: number, part: FusedPart): string {
  return `layers.${layer}.${part}`;
}

/** Whether it is multiplied by, and so may be rounded as the products round it. */
export function isMatrix(name: string): boolean {
  return name !== 'embedding' && !name.endsWith('.gains');
}

/** The weights of a model under Hugging Face's names as `fusedShapes` lists them. Throws `weights-mismatch`. */
export function fuseWeights(config: ModelConfig, weights: Values): Values {
  const shapes = parameterShapes(config);
  const of = (name: string): Float32Array => {
    const values = weights.get(name);
    if (values && values.length === sizeOf(shapes.get(name) ?? [])) return values;
    throw new ModelError('weights-mismatch', `The weights have no "${name}" of this model's size.`);
  };
  const { layers, heads, kvHeads, headDim } = config;
  const embedding = of('model.embed_tokens.weight');
  const fused = new Map([['embedding', embedding]]);
  // Queries are scaled here, so that scores need not be.
  const scale = headDim ** -0.5;
  for (let layer = 0; layer < layers; layer++) {
    const block = (name: string): Float32Array => of(`model.layers.${layer}.${name}.weight`);
    const [q, k, v] = [block('self_attn.q_proj'), block('self_attn.k_proj'), block('self_attn.v_proj')];
    const queries = config.qkNorm ? q : q.map((weight) => weight * scale);
    fused.set(fusedName(layer, 'qkv'), scaleColumns(joined([queries, k, v]), block('input_layernorm')));
    if (config.qkNorm) {
      const query = block('self_attn.q_norm').map((gain) => gain * scale);
      fused.set(
        fusedName(layer, 'gains'),
        joined([...repeat(query, heads), ...repeat(block('self_attn.k_norm'), kvHeads)]),
      );
    }
    fused.set(fusedName(layer, 'out'), block('self_attn.o_proj'));
    const gateUp = joined([...(hasGate(config) ? [block('mlp.gate_proj')] : []), block('mlp.up_proj')]);
    fused.set(fusedName(layer, 'gateUp'), scaleColumns(gateUp, block('post_attention_layernorm')));
    fused.set(fusedName(layer, 'down'), block('mlp.down_proj'));
  }
  const head = config.tieEmbeddings ? embedding : of('lm_head.weight');
  fused.set('head', scaleColumns(head, of('model.norm.weight')));
  return fused;
}

function hasGate({ activation }: ModelConfig): boolean {
  return activation === 'swiglu';
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function repeat(values: Float32Array, times: number): readonly Float32Array[] {
  return Array.from({ length: times }, () => values);
}

/** A matrix whose rows are as long as the factors, each column times its own. */
function scaleColumns(matrix: Float32Array, factors: Float32Array): Float32Array {
  const scaled = new Float32Array(matrix.length);
  for (let row = 0; row < matrix.length; row += factors.length) {
    for (let column = 0; column < factors.length; column++) {
      scaled[row + column] = (matrix[row + column] ?? 0) * (factors[column] ?? 0);
    }
  }
  return scaled;
}
