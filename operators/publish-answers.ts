import { defer } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { MillraceError } from './errors.ts';
import type { Element } from './flow.ts';
import { isItem } from './flow.ts';
import { inOrder } from './in-order.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import type { AnswerBook } from './ports.ts';
import { reportRecord } from './publish.ts';
import type { NewRecord, TextDelta } from './types.ts';

export interface PublishAnswersOptions {
  readonly answers: AnswerBook;
  readonly topic: string;
  /** JSON under the prompt's id when absent. */
  readonly toRecord?: (delta: TextDelta) => Promise<NewRecord>;
}

/** Answers that are committed at once; what one transaction takes decides the book. */
const CONCURRENCY = 64;

/**
 * Commits each answer when it is whole: its deltas in order, and that its prompt is answered, in one transaction. So who
 * reads what is committed sees each answer once, however often the process died on the way. Passes all deltas on, the
 * last of an answer once it is committed.
 *
 * Order: kept. Backpressure: a prompt's bytes come with the last delta of its answer, and go back behind here. Errors: the
 * book's end the flow. Snapshot: none, as the log has it all; a job that starts anew is asked for a cut at once, so that
 * it is settled which prompts are its.
 *
 * @example
 * flow.pipe(generate(sampler, { answers, stopTokens }), detokenize(tokenizer), publishAnswers({ answers, topic: 'generations' }))
 */
export function publishAnswers(
  options: PublishAnswersOptions,
): OperatorFunction<Element<TextDelta>, Element<TextDelta>> {
  const { answers, topic, toRecord = async (delta) => reportRecord(delta) } = options;
  const commit = async (parts: readonly TextDelta[], { at }: TextDelta): Promise<void> => {
    const records = await Promise.all(parts.map(toRecord));
    await answers.commit({ at, records: records.map((record) => ({ ...record, topic })) });
  };
  return (flow) =>
    defer(() => {
      /** Answers under way, by their prompts. */
      const begun = new Map<string, TextDelta[]>();

      const partsUpTo = (delta: TextDelta): readonly TextDelta[] => {
        const prompt = `${delta.at.topic}/${delta.at.partition}/${delta.at.offset}`;
        const parts = delta.index === 0 ? [] : (begun.get(prompt) ?? []);
        parts.push(delta);
        if (delta.finish === null) begun.set(prompt, parts);
        else begun.delete(prompt);
        return parts;
      };
      return flow.pipe(
        inOrder<TextDelta, TextDelta>((element) => {
          if (isItem(element)) {
            const parts = partsUpTo(element.value);
            return element.value.finish === null ? [element] : commit(parts, element.value).then(() => [element]);
          }
          if (element.kind === 'restore' && element.states.size === 0) element.source.requestCut('timer');
          return [element];
        }, CONCURRENCY),
      );
    });
}

export const publishAnswersKind: OperatorKind = defineKind({
  kind: 'publishAnswers',
  summary: 'Commits each answer, whole, together with the fact that its prompt is answered: once for each prompt.',
  input: 'text-delta',
  output: 'text-delta',
  config: z.strictObject({
    topic: z.string().describe('Topic to write to. Read it with isolation level `read_committed` on Kafka.'),
  }),
  topicsOf: ({ topic }) => [topic],
  build: (_uid, { topic }, { answers, formats }) => {
    if (!answers) throw new MillraceError('graph-invalid', 'publishAnswers needs the book of the stream it stands in.');
    return publishAnswers({ answers, topic, toRecord: (delta) => reportRecord(delta, formats.of(topic)) });
  },
});
