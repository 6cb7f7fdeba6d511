import { MillraceError } from '../../operators/errors.ts';
import { isItem } from '../../operators/flow.ts';
import type { Flow, Item } from '../../operators/flow.ts';
import type { Formats } from '../../operators/formats.ts';
import type { Services } from '../../operators/kind.ts';
import type { Tokenizer, TopicLog } from '../../operators/ports.ts';
import type { Span, TokenBatch } from '../../operators/types.ts';
import { applySteps } from '../job/run-stream.ts';
import type { Step } from '../spec/graph.ts';
import { recordsOf } from './past-text.ts';

export interface PastBatchesOptions {
  readonly log: TopicLog;
  readonly spans: readonly Span[];
  /** Of the stream that trains. */
  readonly steps: readonly Step[];
  readonly tokenizer: Tokenizer;
  readonly formats: Formats;
  readonly batch: Services['batch'];
  readonly jobId: string;
  /** Told when the text begins anew, with how often it has been read. */
  readonly onEpoch: (read: number) => void;
}

/** What has effects, or brings past text of its own, does nothing here. */
const LEFT_OUT: ReadonlySet<string> = new Set(['publish', 'replay', 'evaluate', 'checkpoint']);

/**
 * Batches of past text without end, by the operators that a stream has before its step, each of which begins empty: again and
 * again from the start, where there is less than is asked for. Rejects with `bad-usage` where the text fills no batch.
 */
export async function* pastBatches(options: PastBatchesOptions): AsyncGenerator<TokenBatch> {
  for (let read = 0; ; read++) {
    if (read > 0) options.onEpoch(read);
    let isEmpty = true;
    for await (const batch of taken(batchesOf(options))) {
      isEmpty = false;
      yield batch;
    }
    if (!isEmpty) continue;
    throw new MillraceError(
      'bad-usage',
      'The text fills no batch: take more of it with --from-share, or wait until the job has learnt more.',
    );
  }
}

function batchesOf({ log, spans, steps, ...given }: PastBatchesOptions): Flow<TokenBatch> {
  const trains = steps.findIndex(({ kind }) => kind.kind === 'trainStep');
  const before = steps.slice(1, trains).filter(({ kind }) => !LEFT_OUT.has(kind.kind));
  const services: Services = {
    ...given,
    log,
    lineage: 0,
    clock: { nowMs: () => 0 },
    // What can't be taken in was told when it was read for the first time.
    deadLetters: { put: async () => {} },
    ledger: { append: async () => 0, read: async () => [], end: async () => 0 },
    answers: null,
    restore: null,
    maxSteps: Infinity,
    assignments: null,
    get store() {
      return unavailable();
    },
    get trainer() {
      return unavailable();
    },
    get sampler() {
      return unavailable();
    },
  };
  // Lint has checked that what trains is given batches.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return applySteps(recordsOf(log, spans), before, services) as Flow<TokenBatch>;
}

function unavailable(): never {
  throw new MillraceError(
    'graph-invalid',
    'An operator of the graph asks for what only a job has, so its text can not be annealed on.',
  );
}

function nobody(): void {}

/** Items as they are asked for; each keeps its bytes until then. Ends the flow where nobody asks any more. */
async function* taken(flow: Flow<TokenBatch>): AsyncGenerator<TokenBatch> {
  const waiting: Item<TokenBatch>[] = [];
  const end: { isThere: boolean; failure: Error | null } = { isThere: false, failure: null };
  let wake = nobody;
  const finish = (failure: Error | null): void => {
    Object.assign(end, { isThere: true, failure });
    wake();
  };
  const subscription = flow.subscribe({
    next: (element) => {
      if (isItem(element)) waiting.push(element);
      wake();
    },
    error: (error: unknown) => finish(error instanceof Error ? error : new Error(String(error))),
    complete: () => finish(null),
  });
  try {
    for (;;) {
      const item = waiting.shift();
      if (item) {
        yield item.value;
        item.source.window.give(item.bytes);
      } else if (end.isThere) break;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    if (end.failure) throw end.failure;
  } finally {
    subscription.unsubscribe();
    // A source that waits for the window sees that nobody listens.
    for (const { source, bytes } of waiting) source.window.give(bytes);
  }
}
