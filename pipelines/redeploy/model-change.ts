import { growthBetween } from '../../model/growth.ts';
import type { StateChange } from '../../operators/kind.ts';
import type { Graph } from '../spec/graph.ts';
import { presetOf } from '../spec/preset-of.ts';

const WAYS_OUT =
  'Set it back, or begin a new job: from a savepoint of that size (millrace up GRAPH --from SAVEPOINT), or with --fresh.';

/** What becomes of a model's weights where one graph takes the other's place; null where its size stays. */
export function modelChange(from: Graph, to: Graph): StateChange<never>['model'] {
  // The vocabulary is the job's, whatever either graph says.
  const { vocabSize } = presetOf(from.model).model;
  const { changes, refused } = growthBetween(presetOf(from.model).model, { ...presetOf(to.model).model, vocabSize });
  if (changes.length === 0) return null;
  return {
    does: `grown: ${changes.join(', ')}`,
    refused: refused === null ? null : `${refused}. ${WAYS_OUT}`,
  };
}
