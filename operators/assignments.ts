import { EMPTY, catchError, concat, defer, distinctUntilChanged, exhaustMap, forkJoin, interval, map, of } from 'rxjs';
import type { Observable } from 'rxjs';
import { MillraceError } from './errors.ts';
import type { Assignment, Assignments, Topic } from './ports.ts';
import { toMs } from './units.ts';
import type { Duration } from './units.ts';

export interface AllPartitionsOptions {
  /** Group under which offsets are reported for people to see; none by default. */
  readonly group?: string | undefined;
  /** How often it is looked whether topics have got more partitions. */
  readonly lookEvery?: Duration;
}

/**
 * The assignment of a process that shares its topics with nobody: all partitions, and those that are added later once
 * they are found. Offsets are the cuts' business. Errors: `topic-missing` when a topic is deleted; other faults of a look
 * are left to the next one, since whoever reads meets them too.
 */
export function allPartitions(topics: readonly Topic[], options: AllPartitionsOptions = {}): Assignments {
  const { group, lookEvery = '5s' } = options;
  const [first] = topics;
  const commit: Assignment['commit'] = async (positions) => {
    if (group !== undefined) await first?.log.commit(group, positions);
  };
  const look = defer(() => forkJoin(topics.map(({ name, log }) => log.topic(name)))).pipe(
    catchError((error: unknown) => {
      if (error instanceof MillraceError && error.code === 'topic-missing') throw error;
      return EMPTY;
    }),
  );
  const watch = (): Observable<Assignment> =>
    concat(of(topics), interval(toMs(lookEvery)).pipe(exhaustMap(() => look))).pipe(
      distinctUntilChanged((before, now) => partitionsOf(before).length === partitionsOf(now).length),
      map((found) => ({ partitions: partitionsOf(found), commit })),
    );
  return { group: null, counted: async () => null, watch };
}

function partitionsOf(topics: readonly Topic[]): Assignment['partitions'] {
  return topics.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition, offset: null })),
  );
}
