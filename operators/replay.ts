import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Element, Uid } from './flow.ts';
import { SPELLED_ANEW, defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { packedBytes } from './packer.ts';
import { ROW_BYTES_PER_TOKEN, batchOfRows, respelledRow, rowFromJson, rowToJson, rowsOf } from './row.ts';
import type { BatchShape, Row } from './row.ts';
import { RowMemory, memorySchema } from './row-memory.ts';
import { stateful } from './stateful.ts';
import type { Json, Snapshot, TokenBatch } from './types.ts';
import { byteSizeSchema, toBytes } from './units.ts';
import type { ByteSize } from './units.ts';

export interface ReplayOptions {
  readonly uid?: Uid;
  readonly endOfText: number;
  /** Of all rows that are trained on, so many are of the past, in batches of their own. */
  readonly share?: number;
  /** Batches of the past behind each fresh one, beside the share; `auto`: whenever there is time to spare. */
  readonly stepsPerBatch?: number | 'auto';
  /** With `auto`, batches of the past for each fresh one at most. */
  readonly mostSpare?: number;
  /** What the rows that are remembered may take. */
  readonly memory?: ByteSize;
}

const DEFAULTS = { share: 0.05, stepsPerBatch: 0, mostSpare: 4, memory: '4MB' } as const;

/** Batches that come in one go hold up what is behind them. */
const MOST_STEPS_PER_BATCH = 64;

/** A share such as 1/20 is no number that adds up to 1 in twenty steps, but to almost 1. */
const ROUNDING = 1e-9;

/**
 * Passes batches on, and puts batches of rows between them that were trained on before, so that a stream which moves on to
 * other text is not forgotten. A fresh batch stays as it is, its exam too.
 *
 * Rows are drawn from a bounded memory in which every row that ever came has the same chance to be. They are kept as they
 * were trained on, with the coordinates of their record, so that no retention can change what is repeated after a restart,
 * and nothing comes back that was redacted or masked. Their batches (`replayed`) stand for no bytes and no spans.
 * Order: fresh batches keep theirs; those of the past follow the batch that they are due with. Backpressure: each batch of
 * the past takes its own bytes, as spare where only time to spare is used for it; of such there is one at a time, so that
 * what is fresh waits for one step at most. Errors: none of its own. Depends on the batches and on spare ticks alone.
 * Snapshot: the memory, what is due, and how far the random numbers are.
 *
 * @example
 * flow.pipe(batch({ rows: 8, context: 256, endOfText }), replay({ endOfText, share: 0.1 }))
 */
export function replay(options: ReplayOptions): OperatorFunction<Element<TokenBatch>, Element<TokenBatch>> {
  const uid = options.uid ?? 'replay';
  return stateful<TokenBatch, TokenBatch, Replay>(uid, {
    init: () => new Replay(options),
    next: (state, batch) => state.next(batch),
    spare: (state) => state.spare(),
    wantsSpare: (state) => state.wantsSpare,
    snapshot: (state) => state.snapshot(),
    restore: (json) => new Replay(options, json),
    bytes: packedBytes,
  });
}

const stateSchema = z.object({
  memory: memorySchema,
  due: z.number(),
  spareDue: z.number(),
  shape: z.object({ rows: z.number().int(), context: z.number().int(), isolated: z.boolean() }).nullable(),
  timestampMs: z.number(),
});

class Replay {
  readonly #endOfText: number;
  readonly #perBatch: number;
  /** In time to spare, for each fresh batch. */
  readonly #sparePerBatch: number;
  readonly #memoryBytes: number;
  readonly #memory: RowMemory;
  /** Batches of the past that are due, and a part of the next one. */
  #due = 0;
  #spareDue = 0;
  /** Of the last fresh batch; null before the first. */
  #shape: BatchShape | null = null;
  /** Of the newest record that was seen. */
  #timestampMs = 0;

  constructor(options: ReplayOptions, json?: Json) {
    const { share, stepsPerBatch, mostSpare, memory } = { ...DEFAULTS, ...options };
    this.#endOfText = options.endOfText;
    this.#perBatch = share / (1 - share) + (stepsPerBatch === 'auto' ? 0 : stepsPerBatch);
    this.#sparePerBatch = stepsPerBatch === 'auto' ? mostSpare : 0;
    this.#memoryBytes = toBytes(memory);
    const state = json === undefined ? null : stateSchema.parse(json);
    this.#memory = new RowMemory(seedOf(options.uid ?? 'replay'), state?.memory);
    if (!state) return;
    this.#due = state.due;
    this.#spareDue = state.spareDue;
    this.#shape = state.shape;
    this.#timestampMs = state.timestampMs;
  }

  next(batch: TokenBatch): TokenBatch[] {
    if (batch.replayed) return [batch];
    const { rows, context, segments } = batch;
    this.#shape = { rows, context, isolated: segments !== undefined };
    this.#timestampMs = Math.max(this.#timestampMs, batch.timestampMs);
    const most = Math.max(1, Math.floor(this.#memoryBytes / (ROW_BYTES_PER_TOKEN * (context + 1))));
    for (const row of rowsOf(batch)) this.#memory.show(row, most);
    this.#due += this.#perBatch;
    // Text that is short of company is read four times at a profit, and hardly more often (Muennighoff et al. 2023).
    const mostDue = (this.#sparePerBatch * this.#memory.size) / rows;
    this.#spareDue = Math.min(this.#spareDue + this.#sparePerBatch, mostDue);
    const batches = [batch];
    for (; this.#due >= 1 - ROUNDING; this.#due -= 1) batches.push(...this.#past());
    return batches;
  }

  get wantsSpare(): boolean {
    return this.#sparePerBatch > 0 && this.#spareDue >= 1 && this.#memory.size > 0;
  }

  spare(): TokenBatch[] {
    if (!this.wantsSpare) return [];
    this.#spareDue -= 1;
    return this.#past();
  }

  snapshot(): Json {
    const [due, spareDue, timestampMs] = [this.#due, this.#spareDue, this.#timestampMs];
    return { memory: this.#memory.snapshot(), due, spareDue, timestampMs, shape: this.#shape && { ...this.#shape } };
  }

  /** One batch, once there is a past. */
  #past(): TokenBatch[] {
    if (!this.#shape || this.#memory.size === 0) return [];
    const rows = this.#memory.draw(this.#shape.rows);
    return [batchOfRows(rows, this.#shape, { endOfText: this.#endOfText, timestampMs: this.#timestampMs })];
  }
}

/** A sequence of its own for each operator (FNV-1a). */
function seedOf(uid: Uid): number {
  return [...Buffer.from(uid)].reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5);
}

/** The snapshot with each of its rows changed. */
function withRows({ state }: Snapshot, change: (row: Row) => Row): Snapshot {
  const { memory, ...rest } = stateSchema.parse(state);
  const rows = memory.rows.map((row) => rowToJson(change(rowFromJson(row))));
  return { state: z.json().parse({ ...rest, memory: { ...memory, rows } }) };
}

export const replayKind: OperatorKind = defineKind({
  kind: 'replay',
  summary: 'Puts batches of rows that were trained on before between the fresh ones, so that they are not forgotten.',
  input: 'token-batch',
  output: 'token-batch',
  state: 'the rows that it remembers',
  config: z.strictObject({
    share: z
      .number()
      .min(0)
      .max(0.9)
      .default(DEFAULTS.share)
      .describe('Of all rows that are trained on, so many are of the past.'),
    stepsPerBatch: z
      .union([z.literal('auto'), z.int().min(0).max(MOST_STEPS_PER_BATCH)])
      .default(DEFAULTS.stepsPerBatch)
      .describe('Batches of the past behind each fresh one, beside the share; auto: whenever there is time to spare.'),
    mostSpare: z
      .number()
      .positive()
      .default(DEFAULTS.mostSpare)
      .describe('With auto, batches of the past for each fresh one at most.'),
    memory: byteSizeSchema
      .default(DEFAULTS.memory)
      .describe('Rows that are remembered may take so much, in memory and in each checkpoint.'),
  }),
  migrationOf: ({ hasOtherTokens }) => (hasOtherTokens ? SPELLED_ANEW : null),
  respelled: (snapshot, respelling) => withRows(snapshot, (row) => respelledRow(row, respelling)),
  // Offsets of one log mean nothing in another.
  forked: (_uid, snapshot, keepsOffsets) =>
    keepsOffsets ? snapshot : withRows(snapshot, (row) => ({ ...row, at: null })),
  build: (uid, config, { tokenizer }) => replay({ uid, ...config, endOfText: tokenizer.endOfText }),
});
