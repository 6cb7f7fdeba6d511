import { z } from 'zod';
import type { GraphVersion } from '../redeploy/graph-history.ts';

/** What became of one deployment, as topic `deployments` has it. `infra/avro/deployment.avsc` says what the fields mean. */
export interface DeploymentRecord {
  readonly event: 'deployment';
  readonly id: string;
  readonly job: string;
  readonly request: string | null;
  readonly how: 'up' | 'deploy' | 'rollback' | 'savepoint' | 'promote' | 'demote';
  readonly by: string | null;
  readonly timestampMs: number;
  readonly version: number | null;
  readonly hash: string | null;
  readonly outcome: 'live' | 'failed' | 'rolled-back' | 'nothing' | 'refused' | 'saved' | 'promoted' | 'demoted';
  readonly code: string | null;
  readonly note: string | null;
  readonly pauseMs: number | null;
  readonly savepoint: string | null;
  readonly plan: PlanSummary | null;
}

/** What of a plan changes anything. */
interface PlanSummary {
  readonly effect: string;
  readonly rebuilt: readonly string[];
  readonly operators: readonly {
    readonly stream: string;
    readonly uid: string;
    readonly kind: string;
    readonly action: string;
    readonly state: string;
  }[];
  readonly settings: readonly { readonly path: string; readonly from: string; readonly to: string }[];
}

const changed = z.object({ effect: z.string() });
const planSchema = z.object({
  effect: z.string(),
  rebuilt: z.array(z.string()),
  operators: z.array(
    changed.extend({ stream: z.string(), uid: z.string(), kind: z.string(), action: z.string(), state: z.string() }),
  ),
  settings: z.array(changed.extend({ path: z.string(), from: z.string(), to: z.string() })),
});

/** Of a deployment that the history has, and that is over. */
export function versionRecord(job: string, version: GraphVersion): DeploymentRecord | null {
  const { outcome, at, plan, version: number, request, how, by, hash, code, note, pauseMs } = version;
  if (outcome === 'pending' || outcome === 'watching') return null;
  return {
    event: 'deployment',
    id: `${job}/${number}`,
    job,
    request,
    how,
    by,
    timestampMs: Date.parse(at),
    version: number,
    hash,
    outcome,
    code,
    note,
    pauseMs,
    savepoint: null,
    plan: summaryOf(plan),
  };
}

/** Of a request that has left the history as it was. */
export function requestRecord(
  job: string,
  request: string,
  about: Pick<DeploymentRecord, 'how' | 'outcome'> & Partial<DeploymentRecord>,
): DeploymentRecord {
  return {
    event: 'deployment',
    id: `${job}/${request}`,
    job,
    request,
    by: null,
    timestampMs: Date.now(),
    version: null,
    hash: null,
    code: null,
    note: null,
    pauseMs: null,
    savepoint: null,
    plan: null,
    ...about,
  };
}

/** Null also for a plan that another version of Millrace has written in other words. */
function summaryOf(plan: GraphVersion['plan']): PlanSummary | null {
  const parsed = planSchema.safeParse(plan).data;
  if (!parsed) return null;
  return {
    effect: parsed.effect,
    rebuilt: parsed.rebuilt,
    operators: parsed.operators.filter(isChanged).map(({ effect: _effect, ...operator }) => operator),
    settings: parsed.settings.filter(isChanged).map(({ effect: _effect, ...setting }) => setting),
  };
}

function isChanged({ effect }: { readonly effect: string }): boolean {
  return effect !== 'none';
}
