import type { Graph, Pass } from './ir.ts';
import { bf16MatMul } from './passes/bf16-matmul.ts';
import { dropDead } from './passes/drop-dead.ts';
import { expandSoftmax } from './passes/expand-softmax.ts';
import { flattenMatMul } from './passes/flatten-matmul.ts';
import { markXla } from './passes/mark-xla.ts';
import { mergeEqual } from './passes/merge-equal.ts';
import { moveCasts } from './passes/move-casts.ts';
import { simplifyLayout } from './passes/simplify-layout.ts';
import { splitReductions } from './passes/split-reductions.ts';

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

function passesFor({ precision = 'f32', xla = false }: OptimizeOptions): readonly Pass[] {
  const passes: Pass[] = [dropDead, simplifyLayout, flattenMatMul, simplifyLayout, mergeEqual];
  if (precision === 'bf16') passes.push(bf16MatMul, moveCasts, simplifyLayout, mergeEqual);
  if (xla) passes.push(expandSoftmax, splitReductions, simplifyLayout);
  passes.push(dropDead);
  if (xla) passes.push(markXla);
  return passes;
}
