export type {
  CheckpointEvent,
  DeadLetterEvent,
  DeploymentEvent,
  GenerationEvent,
  JobEvent,
  ReadyEvent,
  StepEvent,
  SummaryEvent,
} from './events.ts';
export { graphHash } from './graph.ts';
export type { FeedSpec, Graph, ModelSpec, StandingPromptsSpec, Step, TokenizerSpec, TopicSpec } from './graph.ts';
export { lintGraph } from './lint.ts';
export type { Finding, FindingCode, LintResult } from './lint.ts';
export { openJob } from './open-job.ts';
export type { OpenJob, OpenJobOptions } from './open-job.ts';
export { kinds } from './registry.ts';
export { runJob } from './run-job.ts';
export type { RunJobOptions } from './run-job.ts';
export { version } from './version.ts';
