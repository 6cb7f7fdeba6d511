import { Subject, concat, of, throwError } from 'rxjs';
import { expect, test } from 'vitest';
import { asyncValues } from '../../infra/http/async-values.ts';

interface Part {
  readonly of: string;
  readonly text: string;
}

/** Parts of one text become one. */
const byText = {
  keyOf: ({ of: which }: Part) => which,
  join: (earlier: Part, later: Part): Part => ({ ...later, text: earlier.text + later.text }),
};

test('what comes while nobody takes is joined, by its key and in order', async () => {
  const parts = new Subject<Part>();
  const values = asyncValues(parts, byText);
  const first = values.next();
  parts.next({ of: 'a', text: '1' });
  expect(await first).toEqual({ value: { of: 'a', text: '1' }, done: false });
  for (let at = 2; at < 9; at += 1) parts.next({ of: at % 2 === 0 ? 'a' : 'b', text: String(at) });
  parts.complete();
  const rest: Part[] = [];
  for await (const part of values) rest.push(part);
  expect(rest).toEqual([
    { of: 'a', text: '2468' },
    { of: 'b', text: '357' },
  ]);
});

test('an error comes behind the values before it', async () => {
  const parts = of<Part>({ of: 'a', text: '1' });
  const values = asyncValues(
    concat(
      parts,
      throwError(() => new Error('no more')),
    ),
    byText,
  );
  expect(await values.next()).toMatchObject({ value: { text: '1' } });
  await expect(values.next()).rejects.toThrow('no more');
});

test('leaving the loop unsubscribes', async () => {
  const parts = new Subject<Part>();
  const values = asyncValues(parts, byText);
  const first = values.next();
  parts.next({ of: 'a', text: '1' });
  await first;
  expect(parts.observed).toBe(true);
  await values.return(undefined);
  expect(parts.observed).toBe(false);
});
