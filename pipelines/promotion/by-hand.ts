import { MillraceError } from '../../operators/errors.ts';
import type { WeightsVersion } from '../../operators/ports.ts';
import type { Results } from './judge.ts';
import { demoted, promoted } from './promotion-state.ts';
import type { Decision, PromotionState } from './promotion-state.ts';

/* What commands change, of a job that runs or not. */

/** What there is to know of a command. */
interface ByHand {
  readonly results?: Results | null;
  /** Under which it is found again, where it is not to be carried out twice. */
  readonly request?: string | undefined;
}

const ASKED_FOR = { by: 'hand', reasons: ['somebody asked for it'] } as const;

/** Throws `bad-usage` where the snapshot speaks already. */
export function promotedByHand(
  state: PromotionState,
  snapshot: WeightsVersion,
  { results = null, request }: ByHand = {},
): PromotionState {
  if (state.champion?.id === snapshot.id) {
    throw new MillraceError('bad-usage', `Snapshot ${snapshot.id} speaks already.`);
  }
  return promoted(state, { ...ASKED_FOR, ...idOf(request), snapshot, results }, Date.now());
}

/** Throws `bad-usage` where there is nobody to take the champion's place. */
export function demotedByHand(state: PromotionState, { request }: ByHand = {}): PromotionState {
  if (!state.champion || state.line.length === 0) {
    const who = state.champion ? 'There was no champion before this one' : 'No snapshot has been promoted yet';
    throw new MillraceError(
      'bad-usage',
      `${who}, so nobody could speak instead. Promote another: millrace models shows them.`,
    );
  }
  return demoted(state, { ...ASKED_FOR, ...idOf(request) }, Date.now());
}

function idOf(request: string | undefined): { readonly request?: string } {
  return request === undefined ? {} : { request };
}

/** The decision that a command has come to. */
export function onlyOf([decision]: readonly Decision[]): Decision {
  if (decision) return decision;
  throw new Error('A command has come to no decision.');
}
