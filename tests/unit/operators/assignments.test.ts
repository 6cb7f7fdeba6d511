import { defer, map, merge, of, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import { expect, it } from 'vitest';
import { allPartitions } from '../../../operators/assignments.ts';
import { MillraceError } from '../../../operators/errors.ts';
import type { Topic } from '../../../operators/ports.ts';
import { marbles } from '../../support/marbles.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const GONE = new MillraceError('topic-missing', 'Gone.');

/** A topic of one partition, of which looks say in turn how many it has then, or fail. */
function lookedAt(name: string, ...answers: readonly (number | Error)[]): Topic {
  const log = new MemoryLog();
  const left = [...answers];
  log.topic = (): Observable<Topic> =>
    defer(() => {
      const answer = left.shift() ?? 1;
      return answer instanceof Error ? throwError(() => answer) : of({ name, partitions: answer, log });
    });
  return { name, partitions: 1, log };
}

/** The partitions of each assignment, as words. */
function watched(...topics: readonly Topic[]): Observable<string> {
  return allPartitions(topics, { lookEvery: '5ms' })
    .watch(async () => {})
    .pipe(map(({ partitions }) => partitions.map(({ topic, partition }) => `${topic}/${partition}`).join(' ')));
}

it('gives all partitions at once, and more when they are found', () => {
  marbles(({ expectObservable }) => {
    const found = watched(lookedAt('a', 1, 2, 2, 2, 2), lookedAt('b', 1, 1, 1, 2, 2));
    expectObservable(found, '^ 29ms !').toBe('a 9ms b 9ms c', { a: 'a/0 b/0', b: 'a/0 a/1 b/0', c: 'a/0 a/1 b/0 b/1' });
  });
});

it('fails when a topic is deleted, and leaves other faults to the next look', () => {
  marbles(({ expectObservable }) => {
    const found = watched(lookedAt('a', new Error('of the network'), 2, GONE));
    expectObservable(found).toBe('a 9ms b 4ms #', { a: 'a/0', b: 'a/0 a/1' }, GONE);
  });
});

it('looks no more once nobody watches', () => {
  marbles(({ expectObservable }) => {
    const topic = lookedAt('a', 1, 2);
    expectObservable(merge(watched(topic)), '^ 4ms !').toBe('a', { a: 'a/0' });
    expectObservable(watched(topic), '^ 11ms !').toBe('a 9ms b', { a: 'a/0', b: 'a/0 a/1' });
  });
});

it('makes every cut count by itself, and reports offsets to a group only where it is named', async () => {
  const log = new MemoryLog();
  await log.createTopic('text');
  const topic = { name: 'text', partitions: 1, log };
  const positions = [{ topic: 'text', partition: 0, offset: 3 }];
  for (const group of [undefined, 'job']) {
    const assignments = allPartitions([topic], { group });
    expect([assignments.group, await assignments.counted()]).toEqual([null, null]);
    assignments
      .watch(async () => {})
      .subscribe((assignment) => void assignment.commit(positions, { entry: 0, played: 0 }))
      .unsubscribe();
  }
  expect([...(await log.committed('job', 'text'))]).toEqual(positions);
});
