import type { Json } from '../../operators/types.ts';
import { comparisonSchema } from '../redeploy/shadow/comparison.ts';
import type { Bars } from '../spec/deploy.ts';
import { comparisonLines } from '../terminal/shadow-view.ts';
import { agreed, askJob, isAnybodyThere } from './ask-job.ts';
import type { Session } from './session.ts';

interface ShadowFlags {
  readonly dataDir: string;
  readonly discard: readonly string[];
  /** Steps. */
  readonly shadow?: number | true;
  readonly bar: Partial<Bars>;
  readonly promoteIfBetter?: true;
  readonly yes?: true;
  readonly json?: true;
}

const USUAL_STEPS = 100;
/** As `millrace plan` has it. */
const EXIT_CODES = { worse: 1, reported: 2 } as const;

/** Lets a graph train beside the running one, prints the comparison, and says whether it is to be deployed. */
export async function isPromoted(session: Session, graph: Json, flags: ShadowFlags): Promise<boolean> {
  const { dataDir, discard, shadow = true, bar: bars, json = false } = flags;
  const request = { graph, discard, steps: shadow === true ? USUAL_STEPS : shadow, bars: { ...bars } };
  const comparison = comparisonSchema.parse(await askJob(session, dataDir, 'shadow', request, json));
  await session.print(json ? `${JSON.stringify(comparison)}\n` : comparisonLines(comparison));
  const { verdict } = comparison;
  if (flags.promoteIfBetter && verdict === 'better') return true;
  const isAsked = !json && !flags.yes && !flags.promoteIfBetter && isAnybodyThere();
  if (isAsked) {
    const isWanted = await agreed(session.signal);
    if (!isWanted) await session.print('Left as it was.\n');
    return isWanted;
  }
  if (flags.yes && verdict !== 'worse') return true;
  const isRefused = verdict === 'worse' || flags.promoteIfBetter;
  process.exitCode = isRefused ? EXIT_CODES.worse : EXIT_CODES.reported;
  const advice = isRefused ? '' : ' Say --yes or --promote-if-better to deploy it.';
  if (!json) await session.print(`Left as it was.${advice}\n`);
  return false;
}
