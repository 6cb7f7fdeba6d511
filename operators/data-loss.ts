import { MillraceError } from './errors.ts';
import type { DeadLetters, Position, Topic } from './ports.ts';
import type { Span } from './types.ts';

export type OnDataLoss = 'earliest' | 'fail';

/**
 * What of some positions retention has overtaken, when `error` says that a log has nothing where it was to be read; throws
 * `error` when that was not it, or when it is to end the flow. Each range that is lost is among the dead letters first.
 */
export async function lostBefore(
  error: unknown,
  positions: readonly Position[],
  {
    topics,
    onDataLoss = 'fail',
    deadLetters,
  }: {
    readonly topics: readonly Topic[];
    readonly onDataLoss?: OnDataLoss | undefined;
    readonly deadLetters?: DeadLetters | undefined;
  },
): Promise<readonly Span[]> {
  const isOutOfRange = error instanceof MillraceError && error.code === 'offset-out-of-range';
  if (!isOutOfRange || onDataLoss === 'fail') throw error;
  const lost: Span[] = [];
  for (const { name, log } of topics) {
    for (const { partition, start } of await log.offsets(name)) {
      const position = positions.find((each) => each.topic === name && each.partition === partition);
      if (position && position.offset < start) lost.push({ topic: name, partition, from: position.offset, to: start });
    }
  }
  if (lost.length === 0) throw error;
  for (const span of lost) await deadLetters?.put(letterOf(span));
  return lost;
}

/** The stream is to begin anew from its cut, where the ledger has what is lost. */
export function replayCutShort([first]: readonly Span[]): MillraceError {
  const what = first ? describe(first) : 'Records are gone.';
  return new MillraceError(
    'replay-cut-short',
    `${what} Some of them had been read after the last checkpoint and can't be read again. The stream begins anew from that ` +
      'checkpoint, and goes on behind them.',
  );
}

/** All that is lost stands for one letter, at its first offset. */
function letterOf(span: Span): Parameters<DeadLetters['put']>[0] {
  const { topic, partition, from: offset } = span;
  const message = `${describe(span)} Training goes on from ${span.to}.`;
  return { at: { topic, partition, offset }, code: 'offset-out-of-range', message, key: null, value: null };
}

function describe({ topic, partition, from, to }: Span): string {
  return `Offsets ${from} to ${to - 1} of ${topic}/${partition} are gone: retention dropped them before they were read.`;
}
