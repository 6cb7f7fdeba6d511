import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseTokenizerFile } from '../../model/tokenizer/tokenizer-file.ts';
import { respellingOf } from '../../model/tokenizer/respelling.ts';
import type { Checkpoint } from '../../operators/ports.ts';
import type { Services } from '../../operators/kind.ts';
import type { Step, TokenizerSpec } from '../spec/graph.ts';
import type { JobFolder } from './job-folder.ts';

/** Where a job keeps the vocabulary of a graph: its first, unless it has come to another by a plan. */
export function tokenizerFile(job: JobFolder, spec: TokenizerSpec): string {
  const later = laterTokenizerFile(job, spec);
  return existsSync(later) ? later : job.tokenizer;
}

/** Where a vocabulary is kept that takes the place of the first. The same for the same words of a graph. */
export function laterTokenizerFile({ root }: JobFolder, spec: TokenizerSpec): string {
  const hash = createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 12);
  return join(root, `tokenizer-${hash}.json`);
}

/** Whether a checkpoint was made with a vocabulary. */
export async function isOfVocabulary({ path }: Pick<Checkpoint, 'path'>, tokenizer: string): Promise<boolean> {
  return (await tokenizerIn(path)) === (await readFile(tokenizer, 'utf8'));
}

function tokenizerIn(checkpoint: string): Promise<string> {
  return readFile(join(checkpoint, 'tokenizer.json'), 'utf8');
}

/**
 * A cut in the tokens of a vocabulary: itself, where it was made with the same. Each operator that holds tokens spells them
 * anew, and the same cut always gives the same.
 */
export async function inVocabulary(
  cut: Checkpoint,
  tokenizer: string,
  steps: readonly Step[],
  batch: Services['batch'],
): Promise<Checkpoint> {
  if (await isOfVocabulary(cut, tokenizer)) return cut;
  const [made, wanted] = await Promise.all([tokenizerIn(cut.path), readFile(tokenizer, 'utf8')]);
  const respelling = respellingOf(parseTokenizerFile(JSON.parse(made)), parseTokenizerFile(JSON.parse(wanted)));
  const stepOf = new Map(steps.map((step) => [step.uid, step]));
  const states = [...cut.states].map(([uid, snapshot]) => {
    const step = stepOf.get(uid);
    return [uid, step ? step.kind.respelled(snapshot, respelling, step.config, batch) : snapshot] as const;
  });
  return { ...cut, states: new Map(states) };
}
