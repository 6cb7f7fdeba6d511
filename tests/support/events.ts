import type { JobEvent } from '../../pipelines/job/events.ts';
import type { Millrace } from './millrace.ts';

/** Events of one kind that `up --json` has printed so far. */
export function eventsOf<K extends JobEvent['event']>(run: Millrace, kind: K): (JobEvent & { readonly event: K })[] {
  const events = run.lines.map((line): JobEvent => JSON.parse(line));
  return events.filter((event): event is JobEvent & { readonly event: K } => event.event === kind);
}
