import type { Precision } from './matmul-peak.ts';
import type { Runner } from './race.ts';

/** How far two loss curves over the warm-up steps may be apart, in nats, for the two to count as the same work. */
const LIMITS: Readonly<Record<Precision, number>> = { f32: 1e-3, bf16: 5e-2 };

/** Greatest distance of a loss curve from the reference's, which is in f32. */
export function curveDistance({ losses }: Runner, reference: Runner): number {
  return Math.max(...losses.map((loss, step) => Math.abs(loss - (reference.losses[step] ?? Number.NaN))));
}

/** Throws when somebody's loss curve shows that it does not do the reference's work: then speeds can't be compared. */
export function requireSameWork(runners: readonly Runner[], reference: Runner): void {
  const differing = runners.flatMap((runner) => {
    const { name, precision } = runner.contestant;
    const distance = curveDistance(runner, reference);
    const limit = LIMITS[precision];
    return distance <= limit ? [] : [`${name} is off by ${distance.toFixed(4)} nats, more than ${limit}`];
  });
  if (differing.length === 0) return;
  throw new Error(`Not the same work as ${reference.contestant.name}: ${differing.join('; ')}.`);
}
