import { filter, lastValueFrom, takeWhile, tap } from 'rxjs';
import { logDeadLetters } from '../../../infra/index.ts';
import { presets } from '../../../model/presets.ts';
import type { PresetName } from '../../../model/presets.ts';
import { trainTokenizer } from '../../../model/tokenizer/tokenizer-file.ts';
import { createTokenizer } from '../../../model/tokenizer/tokenizer.ts';
import { batch, decode, ingest, isItem, tokenize } from '../../../operators/index.ts';
import type { TopicLog } from '../../../operators/index.ts';
import { jobShape } from '../shapes.ts';
import type { Contender } from './duel.ts';
import { Stopwatch } from './pace.ts';
import type { Pace } from './pace.ts';

const SAMPLE_CHARACTERS = 2_000_000;
const WINDOW = '1MB';

/**
 * Topic → batch as for a preset, with nobody who trains on the batches, by one thread and by as many as a job would take.
 * The tokenizer is trained on the documents.
 */
export function tokenizing(
  preset: PresetName,
  log: TopicLog,
  topic: string,
  { documents, tokens }: { readonly documents: readonly Buffer[]; readonly tokens: number },
): readonly Contender[] {
  const sample = Buffer.concat(documents).toString().slice(0, SAMPLE_CHARACTERS);
  const tokenizer = createTokenizer(trainTokenizer([sample], presets[preset].model.vocabSize));
  const shape = jobShape(preset);
  const turn = async (threads: 1 | 'auto'): Promise<Pace> => {
    const watch = new Stopwatch(tokens);
    const batches = log.topic(topic).pipe(
      ingest({ window: WINDOW }),
      decode({ deadLetters: logDeadLetters(log, 'deadletters') }),
      tokenize(tokenizer, { threads }),
      batch({ ...shape, endOfText: tokenizer.endOfText }),
      filter(isItem),
      tap(({ source, bytes }) => source.window.give(bytes)),
      takeWhile(({ value }) => !watch.count(shape.rows * shape.context, value.byteCount)),
    );
    await lastValueFrom(batches);
    return watch.pace;
  };
  return [
    { name: `topic → batch for ${preset}, 1 thread`, unit: 'tokens', turn: () => turn(1) },
    { name: `topic → batch for ${preset}`, unit: 'tokens', turn: () => turn('auto') },
  ];
}
