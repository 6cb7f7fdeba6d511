import type { LedgerPlace } from '../../operators/ports.ts';
import { ingestStateIn, placeOf } from '../../operators/ingest-state.ts';
import type { OpenJob } from '../job/open-job.ts';
import type { Plan } from './plan.ts';
import { savedStates } from './saved-states.ts';

/**
 * Where a source reads other topics than before, what it had decided to read behind its newest cut does not hold any more,
 * and is undone in its stream's ledger. To be called when nothing has been done behind that cut, or nothing that counts.
 */
export async function undoBeyond(
  job: Pick<OpenJob, 'folder' | 'graph' | 'ledgerOf' | 'log'>,
  plan: Plan,
): Promise<void> {
  const states = await savedStates(job.folder, job.graph);
  const changed = plan.operators.filter(({ kind, action }) => kind === 'ingest' && action === 'migrated');
  for (const { stream, uid } of changed) {
    const snapshot = states.get(stream)?.get(uid);
    const to: LedgerPlace | null = snapshot ? placeOf(ingestStateIn(uid, snapshot)) : null;
    if (to) await job.ledgerOf(stream, job.log).append({ kind: 'undo', to });
  }
}
