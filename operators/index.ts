export type { Alert } from './alert.ts';
export { batch } from './batch.ts';
export type { BatchOptions } from './batch.ts';
export { checkpoint } from './checkpoint.ts';
export type { CheckpointOptions } from './checkpoint.ts';
export { Tally, totalsOf, withCounts } from './counts.ts';
export type { Counts, OwnCounts } from './counts.ts';
export { decode } from './decode.ts';
export type { DecodeOptions } from './decode.ts';
export { dedupe } from './dedupe.ts';
export type { DedupeOptions } from './dedupe.ts';
export { detokenize } from './detokenize.ts';
export { each } from './each.ts';
export type { EachOptions } from './each.ts';
export { MillraceError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export { filter } from './filter.ts';
export type { FilterOptions } from './filter.ts';
export { isItem } from './flow.ts';
export type { Barrier, Element, Flow, Item, Mark, Reading, Restore, Source, Tick, Uid } from './flow.ts';
export type { Content } from './field-path.ts';
export { jsonFormat, plainFormat, textFormat } from './formats.ts';
export type { Formats, TopicFormat } from './formats.ts';
export { generate } from './generate.ts';
export type { GenerateOptions } from './generate.ts';
export { holdout, isHeldOut } from './holdout.ts';
export type { HoldoutOptions } from './holdout.ts';
export { inOrder } from './in-order.ts';
export { ingest } from './ingest.ts';
export type { IngestOptions } from './ingest-options.ts';
export { defineKind } from './kind.ts';
export type { Migration, OperatorKind, Payload, Services, StateChange } from './kind.ts';
export type {
  Answer,
  AnswerBook,
  AssignedPartition,
  Assignment,
  Assignments,
  Checkpoint,
  CheckpointInfo,
  CheckpointStore,
  Clock,
  Cut,
  DeadLetter,
  DeadLetters,
  FinishReason,
  GroupMembership,
  GroupOptions,
  Ledger,
  LedgerEntry,
  LedgerPlace,
  LogReader,
  Logger,
  PartitionId,
  PartitionOffsets,
  PollOptions,
  Position,
  SampleDelta,
  SampleRequest,
  Sampler,
  Tokenizer,
  Topic,
  TopicLog,
  TopicRecord,
  TopicRetention,
  TopicSettings,
  Trainer,
  Transaction,
  Transactions,
  Watermark,
  WeightsFile,
  WeightsVersion,
} from './ports.ts';
export { prompts } from './prompts.ts';
export type { PromptsOptions } from './prompts.ts';
export { publishAnswers } from './publish-answers.ts';
export type { PublishAnswersOptions } from './publish-answers.ts';
export { publish, reportRecord } from './publish.ts';
export type { PublishOptions } from './publish.ts';
export { redact } from './redact.ts';
export type { RedactOptions } from './redact.ts';
export { replay } from './replay.ts';
export type { ReplayOptions } from './replay.ts';
export { stateful } from './stateful.ts';
export type { StatefulSpec } from './stateful.ts';
export { surprise } from './surprise.ts';
export type { SurpriseOptions, SurpriseRecord } from './surprise.ts';
export { tokenize } from './tokenize.ts';
export type { TokenizeOptions } from './tokenize.ts';
export { tokenizePrompt } from './tokenize-prompt.ts';
export { trainStep } from './train-step.ts';
export type { TrainStepOptions } from './train-step.ts';
export type {
  AnswerUsage,
  Cancellation,
  CheckpointReport,
  Coordinates,
  CutReason,
  Document,
  Exam,
  Freshness,
  Json,
  LogRecord,
  NewRecord,
  OnNewWeights,
  Piece,
  Prompt,
  ReplayedRows,
  Report,
  Snapshot,
  SourceFigures,
  Span,
  StepReport,
  TextDelta,
  TokenBatch,
  TokenDelta,
  TokenizedDocument,
  TokenizedPrompt,
} from './types.ts';
export { toBytes, toMs } from './units.ts';
export type { ByteSize, Duration } from './units.ts';
export { Window } from './window.ts';
