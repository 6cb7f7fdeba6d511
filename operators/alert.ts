/**
 * Something that somebody should look at, as records of topic `alerts` say it, whatever it was that noticed. What was raised
 * of a subject that lasts (a source, a job) is cleared by another record of the same `id`; what was raised of a document stays.
 */
export interface Alert {
  readonly event: 'alert';
  /** The same for what is raised and what clears it. */
  readonly id: string;
  readonly job: string;
  /** Name of the rule. */
  readonly rule: string;
  readonly state: 'raised' | 'cleared';
  /** What it is about: a record as `topic/partition@offset`, or a topic. */
  readonly subject: string;
  /** What the rule went by. */
  readonly figures: Readonly<Record<string, number>>;
  /** A sentence for people. */
  readonly message: string;
  /** Timestamp of the text that it is about, in milliseconds since the epoch. */
  readonly atMs: number;
  /** Training step in which it showed. */
  readonly step: number;
}
