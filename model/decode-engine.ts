import type { Tensor } from '@tensorflow/tfjs-node';
import type { KeyValue } from './attention.ts';
import { compile } from './compile/index.ts';
import { unpackedShape } from './compile/index.ts';
import type { Compiled, InputSpec, Tensors } from './compile/index.ts';
import type { ModelConfig } from './config.ts';
import { fuseWeights, fusedShapes, isMatrix } from './fused-weights.ts';
import { decodeNext, prefill } from './kv-cache.ts';
import type { Chunk, Decoded, KvCache, Memory, Prefilled } from './kv-cache.ts';
import { packBfloat16 } from './pack-bfloat16.ts';
import type { Parameters } from './parameters.ts';
import type { Values } from './step-runner.ts';
import { tf } from './tf.ts';
import { toParameters } from './to-tensors.ts';

/** Holds weights, and runs the forward pass of generation with them. To be called within `tf.tidy`. */
export interface DecodeEngine {
  load(weights: Values): void;
  prefill(chunk: Chunk): Prefilled;
  decode(memory: Memory, ids_B: Tensor): Decoded;
  /** Another one, for other weights of the same model, that runs the same graphs. */
  sibling(): DecodeEngine;
  /** Lets go of the weights, and of the graphs where no sibling is left. */
  dispose(): void;
}

export type DecodeEngineFactory = (config: ModelConfig) => DecodeEngine;

/** Runs operation by operation: the reference. */
export function eagerDecoding(config: ModelConfig): DecodeEngine {
  let parameters: Parameters = {};
  const dispose = (): void => {
    tf.dispose(parameters);
    parameters = {};
  };
  return {
    load: (weights) => {
      dispose();
      parameters = toParameters(fuseWeights(config, weights), fusedShapes(config));
    },
    prefill: (chunk) => prefill(parameters, config, chunk),
    decode: (memory, ids_B) => decodeNext(parameters, config, memory, ids_B),
    sibling: () => eagerDecoding(config),
    dispose,
  };
}

/**
 * Runs each call as one graph; a graph is compiled when its shapes come first. With `bf16`, matrices are kept and
 * multiplied in bfloat16, which halves what each token must read.
 */
export function compiledDecoding(precision: 'f32' | 'bf16'): DecodeEngineFactory {
  return (config) => new CompiledDecoding(config, precision, new Graphs());
}

/** A rough bound: rooms and rows grow by steps of a half, so that a sampler meets fewer shapes than this. */
const MOST_GRAPHS = 64;

type Graph = Compiled<string, string>;

/** Graphs by what they do and the shapes that they do it with, for engines that differ in their weights only. */
class Graphs {
  readonly #users = new Set<DecodeEngine>();
  readonly #graphs = new Map<string, Graph>();

  /** Makes a graph when it is first asked for; of too many, the one that was not used for longest goes away. */
  of(key: string, make: () => Graph): Graph {
    const graph = this.#graphs.get(key) ?? make();
    this.#graphs.delete(key);
    this.#graphs.set(key, graph);
    const [oldest] = this.#graphs;
    if (oldest && this.#graphs.size > MOST_GRAPHS) {
      oldest[1].dispose();
      this.#graphs.delete(oldest[0]);
    }
    return graph;
  }

  join(user: DecodeEngine): void {
    this.#users.add(user);
  }

  /** Behind the last one that leaves the graphs go too. */
  leave(user: DecodeEngine): void {
    this.#users.delete(user);
    if (this.#users.size > 0) return;
    for (const graph of this.#graphs.values()) graph.dispose();
    this.#graphs.clear();
  }
}

class CompiledDecoding implements DecodeEngine {
  readonly #config: ModelConfig;
  readonly #precision: 'f32' | 'bf16';
  /** What the graphs take as weights, by name. */
  readonly #specs: Readonly<Record<string, InputSpec>>;
  readonly #graphs: Graphs;
  #weights: Tensors = {};

  constructor(config: ModelConfig, precision: 'f32' | 'bf16', graphs: Graphs) {
    this.#graphs = graphs;
    graphs.join(this);
    this.#config = config;
    this.#precision = precision;
    const specs = [...fusedShapes(config)].map(([name, shape]): [string, InputSpec] => [
      name,
      { shape, dtype: 'float32', packed: precision === 'bf16' && isMatrix(name) },
    ]);
    this.#specs = Object.fromEntries(specs);
  }

  load(weights: Values): void {
    tf.dispose(this.#weights);
    const loaded = [...fuseWeights(this.#config, weights)].map(([name, values]): [string, Tensor] => {
      const { shape = [], packed } = this.#specs[name] ?? {};
      return [name, packed ? packBfloat16(values, shape) : tf.tensor(values.slice(), [...shape], 'float32')];
    });
    this.#weights = Object.fromEntries(loaded);
  }

  prefill({ past, ...tokens }: Chunk): Prefilled {
    const inputs = { ...tokens, ...flat('past', past) };
    const { logits, ...cache } = this.#run('prefill', inputs, cacheNames('cache', this.#config.layers), (given) => {
      const { ids_T, start, wanted, ...rest } = given;
      const chunk = {
        ids_T: present(ids_T),
        start: present(start),
        wanted: present(wanted),
        past: unflat('past', rest),
      };
      const traced = prefill(given, this.#config, chunk);
      return { logits: traced.logits, ...flat('cache', traced.cache) };
    });
    return { logits: present(logits), cache: unflat('cache', cache) };
  }

  decode({ past, recent, ...counts }: Memory, ids_B: Tensor): Decoded {
    const positions = recent.map((tensor, at): [string, Tensor] => [`recent.${at}`, tensor]);
    const inputs = { ids_B, ...counts, ...flat('past', past), ...Object.fromEntries(positions) };
    const { logits, fresh } = this.#run('decode', inputs, ['fresh'], (given) => {
      const { ids_B: ids, lengths_B, used, ...rest } = given;
      const memory = {
        lengths_B: present(lengths_B),
        used: present(used),
        past: unflat('past', rest),
        recent: positions.map(([name]) => present(rest[name])),
      };
      return { ...decodeNext(given, this.#config, memory, present(ids)) };
    });
    return { logits: present(logits), fresh: present(fresh) };
  }

  /** In bf16 mode, what is remembered is the only thing that comes in halves. */
  #specOf(name: string, { shape, dtype }: Tensor): InputSpec {
    const packed = this.#precision === 'bf16' && /^(past|recent)\./.test(name);
    return packed ? { shape: unpackedShape(shape), dtype: 'float32', packed } : { shape, dtype };
  }

  sibling(): DecodeEngine {
    return new CompiledDecoding(this.#config, this.#precision, this.#graphs);
  }

  dispose(): void {
    tf.dispose(this.#weights);
    this.#weights = {};
    this.#graphs.leave(this);
  }

  /**
   * Runs the function's graph for inputs of these shapes. Each has its own, so that a new one leaves the others alone. With
   * `bf16` what is remembered comes and goes as bfloat16, in which the products read it anyway.
   */
  #run(name: string, inputs: Tensors, remembered: readonly string[], fn: (given: Tensors) => Tensors): Tensors {
    const key = [name, ...Object.values(inputs).map(({ shape }) => shape.join('x'))].join(' ');
    const graph = this.#graphs.of(key, () => {
      const types = Object.entries(inputs).map(([input, tensor]) => [input, this.#specOf(input, tensor)] as const);
      return compile((given) => ({ outputs: fn(given) }), {
        name,
        inputs: { ...this.#specs, ...Object.fromEntries(types) },
        packedOutputs: this.#precision === 'bf16' ? remembered : [],
        precision: this.#precision,
      });
    });
    return graph({ ...this.#weights, ...inputs });
  }
}

function flat(prefix: string, cache: KvCache): Tensors {
  const tensors = cache.flatMap(({ k_BGSD, v_BGSD }) => [k_BGSD, v_BGSD]);
  const names = cacheNames(prefix, cache.length);
  return Object.fromEntries(tensors.map((tensor, at) => [names[at] ?? '', tensor]));
}

function cacheNames(prefix: string, layers: number): readonly string[] {
  return Array.from({ length: layers }, (_, layer) => [`${prefix}.${layer}.k`, `${prefix}.${layer}.v`]).flat();
}

function unflat(prefix: string, tensors: Tensors): KvCache {
  const cache: KeyValue[] = [];
  for (let k = tensors[`${prefix}.0.k`]; k; k = tensors[`${prefix}.${cache.length}.k`]) {
    cache.push({ k_BGSD: k, v_BGSD: present(tensors[`${prefix}.${cache.length}.v`]) });
  }
  return cache;
}

function present(tensor: Tensor | undefined): Tensor {
  if (tensor) return tensor;
  throw new RangeError('A graph of the decoder lacks a tensor');
}
