import { batchKind } from '../../operators/batch.ts';
import { checkpointKind } from '../../operators/checkpoint.ts';
import { decodeKind } from '../../operators/decode.ts';
import { dedupeKind } from '../../operators/dedupe.ts';
import { detokenizeKind } from '../../operators/detokenize.ts';
import { evaluateKind } from '../../operators/evaluate.ts';
import { filterKind } from '../../operators/filter.ts';
import { generateKind } from '../../operators/generate.ts';
import { holdoutKind } from '../../operators/holdout.ts';
import { ingestKind } from '../../operators/ingest-kind.ts';
import type { OperatorKind } from '../../operators/kind.ts';
import { promptsKind } from '../../operators/prompts.ts';
import { publishAnswersKind } from '../../operators/publish-answers.ts';
import { publishKind } from '../../operators/publish.ts';
import { redactKind } from '../../operators/redact.ts';
import { replayKind } from '../../operators/replay.ts';
import { surpriseKind } from '../../operators/surprise.ts';
import { tokenizeKind } from '../../operators/tokenize.ts';
import { tokenizePromptKind } from '../../operators/tokenize-prompt.ts';
import { trainStepKind } from '../../operators/train-step.ts';

/** Every kind of operator that a graph may name. A new one needs its file, its test, and a line here. */
export const kinds: readonly OperatorKind[] = [
  ingestKind,
  holdoutKind,
  decodeKind,
  redactKind,
  filterKind,
  dedupeKind,
  tokenizeKind,
  batchKind,
  replayKind,
  trainStepKind,
  evaluateKind,
  surpriseKind,
  publishKind,
  checkpointKind,
  promptsKind,
  tokenizePromptKind,
  generateKind,
  detokenizeKind,
  publishAnswersKind,
];
