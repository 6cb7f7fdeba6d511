import { MillraceError } from '../../operators/errors.ts';
import type { Checkpoint, Snapshot } from '../../operators/index.ts';
import { readState } from '../../operators/stateful.ts';
import { trainStateSchema } from '../../operators/train-state.ts';
import type { Seen } from '../../operators/watermark.ts';
import type { Step } from '../spec/graph.ts';
import type { Trained } from './saved-checkpoints.ts';

/**
 * Throws `checkpoint-incompatible` when a cut holds state of an operator that its stream has no more: without that state
 * records would be lost, or the weights begin anew, and nobody would notice.
 */
export function requireOwners(
  { id, states }: Pick<Checkpoint, 'id' | 'states'>,
  stream: string,
  steps: readonly Step[],
): void {
  const known = new Set(steps.map(({ uid }) => uid));
  const orphans = [...states.keys()].filter((uid) => !known.has(uid)).map((uid) => `"${uid}"`);
  if (orphans.length === 0) return;
  throw new MillraceError(
    'checkpoint-incompatible',
    `Checkpoint ${id} holds state of ${orphans.join(', ')}, which stream "${stream}" of the graph has no more. Give the ` +
      'operator its uid back, or start a new job on the same topics with --fresh.',
  );
}

/** How far a training was, and in which text. */
export interface Reached extends Trained {
  readonly seen: Seen;
}

/** How far the training in a cut was. */
export function reachedIn(cut: Pick<Checkpoint, 'states'> | null, steps: readonly Step[]): Reached | null {
  return stateOf(cut, steps, 'trainStep', (uid, { state }) => readState(uid, () => trainStateSchema.parse(state)));
}

function stateOf<T>(
  cut: Pick<Checkpoint, 'states'> | null,
  steps: readonly Step[],
  kindName: string,
  read: (uid: string, snapshot: Snapshot) => T,
): T | null {
  const uid = steps.find(({ kind }) => kind.kind === kindName)?.uid ?? '';
  const snapshot = cut?.states.get(uid);
  return snapshot ? read(uid, snapshot) : null;
}
