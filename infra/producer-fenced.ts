import { MillraceError } from '../operators/errors.ts';

/** Says that somebody else goes on with what this process was at. */
export function producerFenced(id: string, options?: ErrorOptions): MillraceError {
  return new MillraceError(
    'producer-fenced',
    `Another process has taken over the transactions of ${id}, so this one may not go on with them: it would do the same ` +
      'work twice. Let the other one run, or stop it and start this one again.',
    options,
  );
}
