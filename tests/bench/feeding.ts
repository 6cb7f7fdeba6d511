import { filter, lastValueFrom, scan, takeWhile, tap } from 'rxjs';
import type { StepInput } from '../../model/types.ts';
import { logDeadLetters } from '../../infra/index.ts';
import { batch, decode, ingest, isItem, tokenize, trainStep } from '../../operators/index.ts';
import type { Tokenizer, TopicLog, Trainer } from '../../operators/index.ts';

export interface Feed {
  readonly log: TopicLog;
  readonly topic: string;
  readonly tokenizer: Tokenizer;
  readonly trainer: Trainer;
  readonly rows: number;
  readonly context: number;
  readonly onBatch?: (batch: StepInput) => void;
}

/** Tokens since the first step that was done, and the time since then. */
class Pace {
  #startMs: number | null = null;
  #tokens = 0;
  #elapsedMs = 0;

  /** Counts a step that is done now. Not the first: it started before the time did. */
  done(tokens: number): this {
    const now = performance.now();
    if (this.#startMs === null) {
      this.#startMs = now;
    } else {
      this.#tokens += tokens;
      this.#elapsedMs = now - this.#startMs;
    }
    return this;
  }

  get elapsedMs(): number {
    return this.#elapsedMs;
  }

  get tokensPerSecond(): number {
    return (this.#tokens * 1000) / this.#elapsedMs;
  }
}

/**
 * Tokens/s of the whole pipeline over a turn, from the topic's beginning and with fresh weights. Its window is as full
 * when the turn ends as when it starts, so that as much is ingested and tokenized meanwhile as is trained on.
 */
export async function pipelineRate(feed: Feed, turnMs: number): Promise<number> {
  const { log, topic, tokenizer, trainer, rows, context, onBatch } = feed;
  const pace = log.topic(topic).pipe(
    ingest({ window: '1MB' }),
    decode({ deadLetters: logDeadLetters(log, 'deadletters') }),
    tokenize(tokenizer),
    batch({ rows, context, endOfText: tokenizer.endOfText }),
    tap((element) => {
      if (isItem(element)) onBatch?.(element.value);
    }),
    trainStep(trainer),
    filter(isItem),
    scan((pace, { value }) => pace.done(value.tokens), new Pace()),
    takeWhile(({ elapsedMs }) => elapsedMs < turnMs, true),
  );
  return (await lastValueFrom(pace)).tokensPerSecond;
}

/** Tokens/s of the same trainer over a turn on batches from memory, of which it always has the next one already. */
export async function bareRate(trainer: Trainer, batches: readonly StepInput[], turnMs: number): Promise<number> {
  const pace = new Pace();
  let sent = 0;
  const send = (): ReturnType<Trainer['step']> => {
    const batch = batches[sent++ % batches.length];
    if (!batch) throw new Error('There is no batch.');
    return trainer.step(batch);
  };
  const underWay = [send(), send()];
  while (pace.elapsedMs < turnMs) {
    const done = await underWay.shift();
    underWay.push(send());
    if (done) pace.done(done.tokens);
  }
  await Promise.all(underWay);
  return pace.tokensPerSecond;
}
