import { z } from 'zod';
import type { WeightsVersion } from '../../operators/ports.ts';
import type { Bars } from '../spec/promote.ts';
import { judge } from './judge.ts';
import type { Results } from './judge.ts';

/** A live prompt, and what a candidate would have said. */
export interface ShadowAnswer {
  readonly prompt: string;
  readonly answer: string;
}

export type Verdict = 'promoted' | 'refused' | 'skipped' | 'demoted';

/** What was decided of a snapshot. Each gets one such decision when it is made, and others where people or results say so. */
export interface Decision {
  /** Counts the job's decisions, from 0. */
  readonly sequence: number;
  readonly timestampMs: number;
  readonly verdict: Verdict;
  /** By the rules of the graph, or by somebody's command. */
  readonly by: 'rule' | 'hand';
  readonly snapshot: WeightsVersion;
  /** Who speaks from now on. */
  readonly champion: WeightsVersion | null;
  readonly reasons: readonly string[];
  /** Of the snapshot; null where it was not examined. */
  readonly results: Results | null;
  /** Of the champion at that time, on the same text. */
  readonly against: Results | null;
  readonly answers: readonly ShadowAnswer[];
  /** Of a command that is not to be carried out twice. */
  readonly request?: string;
}

/** Who speaks, who did before, and what was decided; one file of the job says it. */
export interface PromotionState {
  /** Of the next decision. */
  readonly sequence: number;
  readonly champion: WeightsVersion | null;
  /** Champions before it, the last of them at the end. */
  readonly line: readonly WeightsVersion[];
  /** Results in a row in which the champion was worse than its predecessor. */
  readonly worse: number;
  /** Newest snapshot that has a decision: what is older gets none any more, unless by hand. */
  readonly decidedTo: string | null;
  /** First decision that the webhook has not been told of; null where there is no webhook. */
  readonly toTell: number | null;
  /** The newest ones. */
  readonly decisions: readonly Decision[];
}

export const NOTHING_DECIDED: PromotionState = {
  sequence: 0,
  champion: null,
  line: [],
  worse: 0,
  decidedTo: null,
  toTell: null,
  decisions: [],
};

/** Champions that one may fall back to; their checkpoints are kept for it. */
const MOST_PREDECESSORS = 2;
const MOST_DECISIONS = 200;

const versionSchema = z.object({ id: z.string(), step: z.number() });
/** With what it has seen; that it was just trained is not true of it any more when this is read. */
const championSchema: z.ZodType<WeightsVersion> = versionSchema.extend({
  seen: z.record(z.string(), z.number()).exactOptional(),
  textAtMs: z.number().exactOptional(),
});
const resultsSchema = z.object({
  bitsPerByte: z.number().nullable(),
  bytes: z.number(),
  passRate: z.number().nullable(),
  items: z.number(),
});
const decisionSchema = z.object({
  sequence: z.int(),
  timestampMs: z.number(),
  verdict: z.enum(['promoted', 'refused', 'skipped', 'demoted']),
  by: z.enum(['rule', 'hand']),
  snapshot: versionSchema,
  champion: versionSchema.nullable(),
  reasons: z.array(z.string()),
  results: resultsSchema.nullable(),
  against: resultsSchema.nullable(),
  answers: z.array(z.object({ prompt: z.string(), answer: z.string() })),
  request: z.string().exactOptional(),
});

export const promotionStateSchema: z.ZodType<PromotionState> = z.object({
  sequence: z.int(),
  champion: championSchema.nullable(),
  line: z.array(championSchema),
  worse: z.int(),
  decidedTo: z.string().nullable(),
  toTell: z.int().nullable(),
  decisions: z.array(decisionSchema),
});

/** What an exam has shown of a candidate, and of those whom it is held against. */
export interface Findings {
  readonly candidate: WeightsVersion;
  /** Null where it can't be used at all. */
  readonly results: Results | null;
  /** Why it can't. */
  readonly problem: string | null;
  readonly answers: readonly ShadowAnswer[];
  readonly champion: Results | null;
  readonly predecessor: Results | null;
}

/** Notes snapshots that a newer one has overtaken before they could be examined. */
export function skipped(state: PromotionState, snapshots: readonly WeightsVersion[], atMs: number): PromotionState {
  const reasons = ['a newer snapshot came before it could be examined'];
  return snapshots.reduce(
    (before, snapshot) => decided(before, { verdict: 'skipped', by: 'rule', snapshot, reasons }, atMs),
    state,
  );
}

/**
 * What an exam changes. First the champion: a run of results that are worse than its predecessor's takes its place away. Then
 * the candidate: it is promoted where it clears the bars.
 */
export function settled(
  state: PromotionState,
  findings: Findings,
  { bars, fallBackAfter }: { readonly bars: Bars; readonly fallBackAfter: number },
  atMs: number,
): PromotionState {
  const { candidate: snapshot, results, problem, answers, champion: against } = findings;
  const next = watched(state, findings, bars, fallBackAfter, atMs);
  const rivals = [findings.champion, findings.predecessor].filter((each) => each !== null);
  const { passes, reasons } = results
    ? judge(results, rivals, bars)
    : { passes: false, reasons: [problem ?? 'it can not be used'] };
  const about = { by: 'rule', snapshot, reasons, results, against, answers } as const;
  return passes ? promoted(next, about, atMs) : decided(next, { ...about, verdict: 'refused' }, atMs);
}

function watched(
  state: PromotionState,
  { champion, predecessor }: Findings,
  bars: Bars,
  fallBackAfter: number,
  atMs: number,
): PromotionState {
  if (!champion || !predecessor) return state;
  const { passes, reasons } = judge(champion, [predecessor], bars);
  const worse = passes ? 0 : state.worse + 1;
  if (fallBackAfter === 0 || worse < fallBackAfter) return { ...state, worse };
  const run = [`worse than the champion before it ${worse} times in a row`, ...reasons];
  return demoted(state, { by: 'rule', reasons: run, results: champion, against: predecessor }, atMs);
}

type About = Pick<Decision, 'by' | 'snapshot' | 'reasons'> &
  Partial<Pick<Decision, 'results' | 'against' | 'answers' | 'request'>>;

/** Lets a snapshot speak. */
export function promoted(state: PromotionState, about: About, atMs: number): PromotionState {
  const { champion } = state;
  const { snapshot } = about;
  const before = state.line.filter((each) => each.id !== snapshot.id);
  const line =
    champion === null || champion.id === snapshot.id ? before : [...before, champion].slice(-MOST_PREDECESSORS);
  const next = { ...state, champion: snapshot, line, worse: 0 };
  return decided(next, { ...about, verdict: 'promoted' }, atMs);
}

/** Takes the champion's place away: its predecessor speaks, or nobody where there is none. */
export function demoted(state: PromotionState, about: Omit<About, 'snapshot'>, atMs: number): PromotionState {
  const { champion: snapshot, line } = state;
  if (!snapshot) return state;
  const next = { ...state, champion: line.at(-1) ?? null, line: line.slice(0, -1), worse: 0 };
  return decided(next, { ...about, snapshot, verdict: 'demoted' }, atMs);
}

function decided(
  state: PromotionState,
  about: About & { readonly verdict: Verdict },
  timestampMs: number,
): PromotionState {
  const { sequence, champion, decisions, decidedTo, toTell } = state;
  const { id, step } = about.snapshot;
  const decision: Decision = {
    sequence,
    timestampMs,
    results: null,
    against: null,
    answers: [],
    ...about,
    snapshot: { id, step },
    champion: champion && { id: champion.id, step: champion.step },
  };
  const kept = decisions.filter((each) => {
    return each.sequence > sequence - MOST_DECISIONS || (toTell !== null && each.sequence >= toTell);
  });
  return {
    ...state,
    sequence: sequence + 1,
    decidedTo: decidedTo === null || id > decidedTo ? id : decidedTo,
    decisions: [...kept, decision],
  };
}
