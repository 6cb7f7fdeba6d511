import { lastValueFrom, takeWhile, tap } from 'rxjs';
import type { Observable } from 'rxjs';
import { batch, decode, ingest, isItem, replay, tokenize, trainStep } from '../../../operators/index.ts';
import type { Element, StepReport, TopicLog, Tokenizer, TokenBatch, Trainer } from '../../../operators/index.ts';
import { Packer } from '../../../operators/packer.ts';
import type { Shape } from '../shapes.ts';

export interface Lesson {
  readonly log: TopicLog;
  readonly topic: string;
  readonly tokenizer: Tokenizer;
  readonly trainer: Trainer;
  readonly shape: Shape;
  /** Of all rows, so many are of the past. */
  readonly share: number;
  readonly onStep: (report: StepReport) => void;
}

/** Trains fresh weights on all of a topic, once, and resolves when that is done. */
export async function learn({ log, topic, tokenizer, trainer, shape, share, onStep }: Lesson): Promise<void> {
  const { endOfText } = tokenizer;
  // A tick comes when there is no more; the first closes the last batch, a later one finds all done.
  const steps: Observable<Element<StepReport>> = log
    .topic(topic)
    .pipe(
      ingest({ window: '256KB', tickEvery: '50ms' }),
      decode({ deadLetters: { put: ({ message }) => Promise.reject(new Error(message)) } }),
      tokenize(tokenizer),
      batch({ ...shape, endOfText, maxWait: 0 }),
      replay({ endOfText, share }),
      trainStep(trainer),
    );
  const noted = steps.pipe(
    tap((element) => {
      if (isItem(element)) onStep(element.value);
    }),
    takeWhile(isUnderWay),
  );
  await lastValueFrom(noted, { defaultValue: null });
}

function isUnderWay(element: Element<StepReport>): boolean {
  return element.kind !== 'tick' || element.source.window.inFlightBytes > 0;
}

/** Texts as batches that a model is examined by. */
export async function examOf(texts: readonly string[], tokenizer: Tokenizer, shape: Shape): Promise<TokenBatch[]> {
  const packer = new Packer({ ...shape, endOfText: tokenizer.endOfText });
  const batches: TokenBatch[] = [];
  for (const [offset, text] of texts.entries()) {
    const tokens = await tokenizer.encode(text);
    const tokenBytes = Uint16Array.from(tokens, (token) => tokenizer.decode(Int32Array.of(token)).byteLength);
    const at = { topic: 'held-out', partition: 0, offset };
    batches.push(...packer.add({ tokens, tokenBytes, at, timestampMs: 0 }));
  }
  return [...batches, ...packer.closeIfWaiting(0, 0)];
}

/** What is said of held-out text. */
export interface Grade {
  /** Mean cross-entropy per token. */
  readonly nats: number;
  readonly bitsPerByte: number;
}

export async function examine(trainer: Trainer, exam: readonly TokenBatch[]): Promise<Grade> {
  let [nats, tokens, bytes] = [0, 0, 0];
  for (const each of exam) {
    const counted = each.lossMask.reduce((sum, counts) => sum + counts, 0);
    nats += (await trainer.evaluate(each)) * counted;
    tokens += counted;
    bytes += each.byteCount;
  }
  return { nats: nats / tokens, bitsPerByte: nats / Math.LN2 / bytes };
}
