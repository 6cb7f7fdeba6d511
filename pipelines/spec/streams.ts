import type { Graph, Step } from './graph.ts';

export function has(steps: readonly Step[], kindName: string): boolean {
  return steps.some(({ kind }) => kind.kind === kindName);
}

/** Name and steps of the stream that trains, of which a graph has one at most. */
export function trainingStream({ streams }: Graph): readonly [string, readonly Step[]] | undefined {
  return Object.entries(streams).find(([, steps]) => has(steps, 'trainStep'));
}
