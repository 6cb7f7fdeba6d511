import type { Respelling } from '../model/tokenizer/respelling.ts';
import type { ReplayedRows, Span } from './types.ts';

/** Tokens on their way into a step, and what is known of them. */
interface TokenRun {
  readonly ids: readonly number[];
  readonly targets: readonly number[];
  readonly lossMask: readonly number[];
  readonly segments?: readonly number[] | undefined;
}

/** A run with the numbers of its documents. */
interface NumberedRun extends TokenRun {
  readonly segments: readonly number[];
}

/** What batches of one origin share. */
interface BatchOrigin {
  readonly rows: number;
  readonly context: number;
  readonly spans: readonly Span[];
  readonly timestampMs: number;
  readonly replayed?: ReplayedRows | undefined;
}

/** A batch as states hold it. */
interface PlainBatch extends TokenRun, BatchOrigin {
  readonly byteCount: number;
}

/** The same text in the tokens of another vocabulary; each input is the target before it, as it was. */
export function respellRun(run: TokenRun, { spelled, endOfText }: Respelling): NumberedRun {
  const targets: number[] = [];
  const lossMask: number[] = [];
  const segments: number[] = [];
  for (const [at, target] of run.targets.entries()) {
    for (const token of spelled[target] ?? []) {
      targets.push(token);
      lossMask.push(run.lossMask[at] ?? 0);
      segments.push(run.segments?.[at] ?? 0);
    }
  }
  // The token before the first target may be of the batch before this one.
  const first = spelled[run.ids[0] ?? 0]?.at(-1) ?? endOfText;
  const ids = targets.map((_, at) => targets[at - 1] ?? first);
  return { ids, targets, lossMask, segments };
}

/** A run from one place to another. */
export function sliceOf({ ids, targets, lossMask, segments }: NumberedRun, from: number, to: number): NumberedRun {
  const part = (values: readonly number[]): readonly number[] => values.slice(from, to);
  return { ids: part(ids), targets: part(targets), lossMask: part(lossMask), segments: part(segments) };
}

/** Bytes that the counted targets of a run stand for. */
export function bytesOfRun({ targets, lossMask }: TokenRun, { bytes }: Respelling): number {
  return targets.reduce((sum, target, at) => sum + ((lossMask[at] ?? 0) > 0 ? (bytes[target] ?? 0) : 0), 0);
}

/** As many batches as a run fills; each names all the records that the run came from. */
export function fullBatches(run: NumberedRun, origin: BatchOrigin, respelling: Respelling): PlainBatch[] {
  const size = origin.rows * origin.context;
  return Array.from({ length: Math.floor(run.targets.length / size) }, (_, at) => {
    const part = sliceOf(run, at * size, (at + 1) * size);
    return { ...origin, ...part, byteCount: origin.replayed ? 0 : bytesOfRun(part, respelling) };
  });
}

/**
 * A batch in another vocabulary: as many of the same shape as its tokens need, the last filled up with tokens that do not
 * count.
 */
export function respellBatch(
  { rows, context, spans, timestampMs, replayed, ...old }: PlainBatch,
  respelling: Respelling,
): PlainBatch[] {
  const size = rows * context;
  const run = respellRun(old, respelling);
  const missing = (size - (run.targets.length % size)) % size;
  const fill = (values: readonly number[], value: number): readonly number[] => [
    ...values,
    ...Array.from({ length: missing }, () => value),
  ];
  const { endOfText } = respelling;
  const whole = {
    ids: fill(run.ids, endOfText),
    targets: fill(run.targets, endOfText),
    lossMask: fill(run.lossMask, 0),
    segments: fill(run.segments, (run.segments.at(-1) ?? 0) + 1),
  };
  const batches = fullBatches(
    whole,
    { rows, context, spans, timestampMs, ...(replayed ? { replayed } : {}) },
    respelling,
  );
  return old.segments ? batches : batches.map(({ segments: _segments, ...batch }) => batch);
}
