import type { PublishedDelta } from '../topics/published.ts';
import { count, counted, duration } from './format.ts';

const ENDINGS = { stop: '', length: '', deadline: 'its time was over', cancelled: 'cancelled' } as const;

/** What is to be said below a whole answer: who spoke, how much, and how new the text was that they knew. */
export function answerFooter({ weights, finish, usage, freshness }: PublishedDelta): string {
  const reused = usage && usage.cachedTokens > 0 ? `, ${count(usage.cachedTokens)} of them read before` : '';
  const said = usage
    ? [`${counted(usage.completionTokens, 'token')} after a prompt of ${count(usage.promptTokens)}${reused}`]
    : [];
  const fresh = freshness ? [`${duration(freshness.spokenMs)} from its newest text to its first word`] : [];
  const ending = finish ? ENDINGS[finish] : '';
  const spoke = weights.id === '' ? 'nobody spoke' : `step ${count(weights.step)} spoke`;
  return [spoke, ...said, ...fresh, ending].filter(Boolean).join(' · ');
}
