import type { Respelling } from '../model/tokenizer/respelling.ts';
import type { Piece, ReplayedRows, Span } from './types.ts';

/** Tokens on their way into a step, and what is known of them. */
interface TokenRun {
  readonly ids: readonly number[];
  readonly targets: readonly number[];
  readonly lossMask: readonly number[];
  readonly segments?: readonly number[] | undefined;
  readonly pieces?: readonly Piece[] | undefined;
}

/** A run with the numbers of its documents. */
interface NumberedRun extends TokenRun {
  readonly segments: readonly number[];
  readonly pieces: readonly Piece[];
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
  /** By target, where its new spelling begins. */
  const starts: number[] = [];
  for (const [at, target] of run.targets.entries()) {
    starts.push(targets.length);
    for (const token of spelled[target] ?? []) {
      targets.push(token);
      lossMask.push(run.lossMask[at] ?? 0);
      segments.push(run.segments?.[at] ?? 0);
    }
  }
  // The token before the first target may be of the batch before this one.
  const first = spelled[run.ids[0] ?? 0]?.at(-1) ?? endOfText;
  const ids = targets.map((_, at) => targets[at - 1] ?? first);
  const placeOf = (old: number): number => starts[old] ?? targets.length;
  const pieces = run.pieces?.map((piece) => ({ ...piece, from: placeOf(piece.from), to: placeOf(piece.to) })) ?? [];
  return { ids, targets, lossMask, segments, pieces };
}

/** A run from one place to another; documents that stand on both sides are cut there. */
export function sliceOf(run: NumberedRun, from: number, to: number, respelling: Respelling): NumberedRun {
  const part = (values: readonly number[]): readonly number[] => values.slice(from, to);
  const [targets, lossMask] = [part(run.targets), part(run.lossMask)];
  const pieces = run.pieces
    .filter((piece) => piece.from < to && piece.to > from)
    .map((piece) => {
      const place = { from: Math.max(piece.from, from) - from, to: Math.min(piece.to, to) - from };
      const within = (values: readonly number[]): readonly number[] => values.slice(place.from, place.to);
      return {
        ...piece,
        ...place,
        bytes: bytesOfRun({ targets: within(targets), lossMask: within(lossMask) }, respelling),
        begins: piece.begins && piece.from >= from,
        ends: piece.ends && piece.to <= to,
      };
    });
  return { ids: part(run.ids), targets, lossMask, segments: part(run.segments), pieces };
}

/** Bytes that the counted targets of a run stand for. */
export function bytesOfRun(
  { targets, lossMask }: Pick<TokenRun, 'targets' | 'lossMask'>,
  { bytes }: Respelling,
): number {
  return targets.reduce((sum, target, at) => sum + ((lossMask[at] ?? 0) > 0 ? (bytes[target] ?? 0) : 0), 0);
}

/** As many batches as a run fills; each names all the records that the run came from. */
export function fullBatches(run: NumberedRun, origin: BatchOrigin, respelling: Respelling): PlainBatch[] {
  const size = origin.rows * origin.context;
  return Array.from({ length: Math.floor(run.targets.length / size) }, (_, at) => {
    const part = sliceOf(run, at * size, (at + 1) * size, respelling);
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
    pieces: run.pieces,
  };
  const batches = fullBatches(
    whole,
    { rows, context, spans, timestampMs, ...(replayed ? { replayed } : {}) },
    respelling,
  );
  return old.segments ? batches : batches.map(({ segments: _segments, ...batch }) => batch);
}
