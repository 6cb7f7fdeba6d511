import { closest, distance } from 'fastest-levenshtein';
import { LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { z } from 'zod';
import type { OperatorKind, Payload } from '../../operators/kind.ts';
import { graphHeadSchema } from './graph.ts';
import type { Graph, GraphHead, Step } from './graph.ts';
import { answerProblems } from './lint-answers.ts';
import { operatorConflicts } from './lint-conflicts.ts';
import { evaluateProblems } from './lint-evaluate.ts';
import { findImport } from './lint-import.ts';
import { knownKinds } from './lint-modules.ts';
import type { KnownKinds, LintOptions } from './lint-modules.ts';
import { promoteProblems } from './lint-promote.ts';
import { topicConflicts } from './lint-topics.ts';

export type FindingCode =
  | 'yaml-invalid'
  | 'unknown-key'
  | 'value-invalid'
  | 'kind-unknown'
  | 'operators-invalid'
  | 'import-invalid'
  | 'kind-missing'
  | 'uid-missing'
  | 'uid-duplicate'
  | 'types-mismatch'
  | 'topic-missing'
  | 'settings-conflict'
  | 'topic-cycle'
  | 'unreachable'
  | 'checkpoint-not-last'
  | 'checkpoint-missing'
  | 'trainer-twice'
  | 'answers-twice';

/** Something that is wrong with a graph. */
export interface Finding {
  readonly code: FindingCode;
  /** Where in the graph, such as `streams.learn[3].batch.rows`. */
  readonly path: string;
  readonly message: string;
  /** Where in the text, from 1. */
  readonly line: number;
  readonly column: number;
}

export interface LintResult {
  /** The graph, where nothing was found. */
  readonly graph: Graph | null;
  readonly findings: readonly Finding[];
}

type Path = readonly PropertyKey[];
export type Problem = Omit<Finding, 'path' | 'line' | 'column'> & { readonly path: Path };

/**
 * Reads a graph from YAML (or JSON, which is YAML too) and finds all that is wrong with it. Modules of operators are run,
 * where the options let them.
 */
export function lintGraph(text: string, options: LintOptions = {}): LintResult {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [broken] = document.errors;
  if (broken) {
    const { line, col } = lines.linePos(broken.pos[0]);
    const [message = 'not YAML'] = broken.message.split('\n');
    return { graph: null, findings: [{ code: 'yaml-invalid', path: '', message, line, column: col }] };
  }
  const { graph, problems } = readGraph(document.toJS(), options);
  const findings = problems.map((problem) => ({
    ...problem,
    path: z.core.toDotPath(problem.path),
    ...positionOf(problem.path, document, lines),
  }));
  return { graph: findings.length === 0 ? graph : null, findings };
}

function readGraph(json: unknown, options: LintOptions): { graph: Graph | null; problems: Problem[] } {
  const head = graphHeadSchema.safeParse(json);
  if (!head.success) return { graph: null, problems: problemsOf(head.error, graphHeadSchema, []) };
  const known = knownKinds(head.data, options);
  const found = findImport(head.data, json, options);
  const problems: Problem[] = [...known.problems, ...found.problems];
  const uids = new Set<string>();
  const streams: Record<string, Step[]> = {};
  for (const [name, steps] of Object.entries(head.data.streams)) {
    const read = steps.map((step, index) =>
      readStep(step, ['streams', name, index], { ...head.data, known, uids, problems }),
    );
    streams[name] = read.filter((step) => step !== null);
    problems.push(...mismatches(read, ['streams', name]), ...behindCheckpoint(read, ['streams', name]));
  }
  problems.push(...secondTrainers(streams), ...unsavedTrainers(streams));
  problems.push(...answerProblems(streams), ...topicConflicts(head.data, streams));
  const { model, tokenizer } = found;
  problems.push(...operatorConflicts({ ...head.data, model }, streams));
  problems.push(...promoteProblems(head.data, streams), ...evaluateProblems(head.data, streams));
  const { alerts, control, feed, standingPrompts, promote, topics } = head.data;
  if (control) requireTopic(control.topic, topics, ['control', 'topic'], problems);
  if (feed) requireTopic(feed.topic, topics, ['feed', 'topic'], problems);
  if (standingPrompts) requireTopic(standingPrompts.topic, topics, ['standingPrompts', 'topic'], problems);
  if (alerts) requireTopic(alerts.topic, topics, ['alerts', 'topic'], problems);
  const heldOut = promote?.heldOut;
  if (heldOut && 'topic' in heldOut) requireTopic(heldOut.topic, topics, ['promote', 'heldOut', 'topic'], problems);
  const { operators: _files, ...rest } = head.data;
  const own = known.modules.length > 0 ? { operators: known.modules } : {};
  return { graph: { ...rest, ...own, model, tokenizer, streams }, problems };
}

/** What steps are read with. */
interface Reading extends Pick<GraphHead, 'topics'> {
  readonly known: KnownKinds;
  /** Those that were met so far. */
  readonly uids: Set<string>;
  readonly problems: Problem[];
}

function readStep(json: unknown, path: Path, { topics, known, uids, problems }: Reading): Step | null {
  const object = z.looseObject({}).safeParse(json);
  if (!object.success) {
    problems.push({
      code: 'value-invalid',
      path,
      message: 'An operator is an object, such as {uid: pack, batch: {}}.',
    });
    return null;
  }
  const { uid, ...rest } = object.data;
  checkUid(uid, path, uids, problems);
  const kind = onlyKind(Object.keys(rest), path, known, problems);
  if (!kind) return null;
  const config = kind.config.safeParse(rest[kind.kind] ?? {});
  if (!config.success) {
    problems.push(...problemsOf(config.error, kind.config, [...path, kind.kind]));
    return null;
  }
  for (const topic of kind.topicsOf(config.data)) requireTopic(topic, topics, [...path, kind.kind], problems);
  return { uid: String(uid), kind, config: config.data };
}

function checkUid(uid: unknown, path: Path, uids: Set<string>, problems: Problem[]): void {
  if (typeof uid !== 'string' || uid === '') {
    problems.push({ code: 'uid-missing', path, message: 'Every operator needs a uid, since its state belongs to it.' });
    return;
  }
  if (uids.has(uid)) {
    const message = `The uid "${uid}" stands twice. Give each operator a uid of its own.`;
    problems.push({ code: 'uid-duplicate', path: [...path, 'uid'], message });
  }
  uids.add(uid);
}

function onlyKind(
  names: readonly string[],
  path: Path,
  { kinds, problems: unread }: KnownKinds,
  problems: Problem[],
): OperatorKind | undefined {
  const known = [...kinds.keys()];
  for (const name of names.filter((candidate) => !known.includes(candidate))) {
    // It may be of a module that can't be read, which is said already.
    if (unread.length > 0) continue;
    const message = `There is no operator "${name}".${suggestion(name, known)}`;
    problems.push({ code: 'kind-unknown', path: [...path, name], message });
  }
  const [name, ...others] = names.filter((candidate) => known.includes(candidate));
  if (name === undefined && names.length === 0) {
    problems.push({ code: 'kind-missing', path, message: `Name an operator: one of ${known.join(', ')}.` });
  }
  if (others.length > 0) {
    const message = `One operator a step: "${name}" and "${others.join('", "')}" stand here together.`;
    problems.push({ code: 'kind-missing', path, message });
  }
  return name === undefined ? undefined : kinds.get(name);
}

/** Neighbours that do not fit; a stream begins at topics. */
function mismatches(steps: readonly (Step | null)[], path: Path): Problem[] {
  const problems: Problem[] = [];
  let flowing: Payload | null = 'topics';
  for (const [index, step] of steps.entries()) {
    if (!step) {
      flowing = null;
      continue;
    }
    const { kind, input, output } = step.kind;
    if (flowing !== null && (input === 'any' ? flowing === 'topics' : input !== flowing)) {
      const wanted = input === 'any' ? 'anything but topics' : input;
      const message = `"${kind}" takes ${wanted}, but what comes here is ${flowing}.`;
      problems.push({ code: 'types-mismatch', path: [...path, index], message });
    }
    flowing = output === 'any' ? flowing : output;
  }
  return problems;
}

/** A cut is stored by its checkpoint, so what an operator behind it remembers would not be in it. */
function behindCheckpoint(steps: readonly (Step | null)[], path: Path): Problem[] {
  const checkpoint = steps.findIndex((step) => step?.kind.kind === 'checkpoint');
  if (checkpoint < 0 || checkpoint === steps.length - 1) return [];
  const message = 'Nothing may stand behind "checkpoint", since its state would not be in the cut. Put it last.';
  return [{ code: 'checkpoint-not-last', path: [...path, checkpoint], message }];
}

/** A job has one trainer. */
function secondTrainers(streams: Readonly<Record<string, readonly Step[]>>): Problem[] {
  const places = Object.entries(streams).flatMap(([name, steps]) =>
    steps.flatMap(({ kind }, index): Path[] => (kind.kind === 'trainStep' ? [['streams', name, index]] : [])),
  );
  const message = 'A job trains one model: "trainStep" may stand in a graph once.';
  return places.slice(1).map((path) => ({ code: 'trainer-twice', path, message }));
}

/** A job ends with a last cut, which somebody must commit. */
function unsavedTrainers(streams: Readonly<Record<string, readonly Step[]>>): Problem[] {
  const message = 'A stream that trains must end in "checkpoint", or all that it learns would be lost.';
  return Object.entries(streams).flatMap(([name, steps]): Problem[] => {
    const kindNames = new Set(steps.map(({ kind }) => kind.kind));
    if (!kindNames.has('trainStep') || kindNames.has('checkpoint')) return [];
    return [{ code: 'checkpoint-missing', path: ['streams', name], message }];
  });
}

function requireTopic(topic: string, topics: Graph['topics'], path: Path, problems: Problem[]): void {
  if (topic in topics) return;
  const message = `The topic "${topic}" is not under topics.${suggestion(topic, Object.keys(topics))}`;
  problems.push({ code: 'topic-missing', path, message });
}

/** What was probably meant, where something is near enough; else what there is. */
function suggestion(name: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const nearest = closest(name, known);
  const isNear = distance(name, nearest) <= Math.max(name.length, nearest.length) / 2;
  return isNear ? ` Did you mean "${nearest}"?` : ` There are: ${known.join(', ')}.`;
}

function problemsOf(error: z.ZodError, schema: z.ZodType, prefix: Path): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'invalid_key') {
      const [reason] = issue.issues;
      return [{ code: 'value-invalid', path, message: `This name ${reason?.message ?? 'is not valid'}` }];
    }
    if (issue.code !== 'unrecognized_keys') return [{ code: 'value-invalid', path, message: issue.message }];
    const known = settingsAt(schema, issue.path);
    return issue.keys.map((key) => ({
      code: 'unknown-key',
      path: [...path, key],
      message: `There is no setting "${key}" here.${suggestion(key, known)}`,
    }));
  });
}

/** Names of the settings that a schema has at a path. */
function settingsAt(schema: z.ZodType, path: Path): readonly string[] {
  let node: z.core.JSONSchema.BaseSchema = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  for (const key of path) {
    const inner = node.properties?.[String(key)] ?? node.additionalProperties ?? node.items;
    if (typeof inner !== 'object' || Array.isArray(inner)) return [];
    node = inner;
  }
  return Object.keys(node.properties ?? {});
}

/** Where the innermost part of the path that the text has stands in it. */
function positionOf(path: Path, document: Document, lines: LineCounter): { line: number; column: number } {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    const range = z.object({ range: z.tuple([z.number()], z.number()) }).safeParse(node);
    if (!range.success) continue;
    const { line, col } = lines.linePos(range.data.range[0]);
    return { line, column: col };
  }
  return { line: 1, column: 1 };
}
