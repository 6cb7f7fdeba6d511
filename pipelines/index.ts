export type {
  CheckpointEvent,
  DeadLetterEvent,
  DeploymentEvent,
  GenerationEvent,
  JobEvent,
  PlanEvent,
  ReadyEvent,
  StepEvent,
  SummaryEvent,
} from './job/events.ts';
export { graphHash } from './spec/graph.ts';
export type { FeedSpec, Graph, ModelSpec, StandingPromptsSpec, Step, TokenizerSpec } from './spec/graph.ts';
export type { TopicSpec } from './spec/topics.ts';
export { lintGraph } from './spec/lint.ts';
export type { Finding, FindingCode, LintResult } from './spec/lint.ts';
export { openJob } from './job/open-job.ts';
export type { OpenJob, OpenJobOptions } from './job/open-job.ts';
export { planRedeploy } from './redeploy/plan.ts';
export type { Effect, OffsetRow, Plan, PlanInput, States } from './redeploy/plan.ts';
export type { Action, OperatorRow } from './redeploy/plan-operators.ts';
export type { SettingRow } from './redeploy/plan-settings.ts';
export { kinds } from './spec/registry.ts';
export { runJob } from './job/run-job.ts';
export type { RunJobOptions } from './job/run-job.ts';
export { version } from './version.ts';
