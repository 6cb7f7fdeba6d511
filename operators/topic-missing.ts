import { MillraceError } from './errors.ts';

export function isTopicMissing(error: unknown): error is MillraceError {
  return error instanceof MillraceError && error.code === 'topic-missing';
}

/** Of a topic that was there before. */
export function topicDeleted(error: MillraceError): MillraceError {
  return new MillraceError(
    'topic-missing',
    `${error.message} It was there until now, so somebody has deleted it; all that was read of it is in the last checkpoint.`,
    { cause: error },
  );
}
