import type {
  CheckpointEvent,
  CountsEvent,
  DeadLetterEvent,
  DeploymentEvent,
  FreshnessEvent,
  GenerationEvent,
  JobEvent,
  LagEvent,
  OutageEvent,
  PromotionEvent,
  ReadyEvent,
  StepEvent,
  SummaryEvent,
  WeightsEvent,
} from '../job/events.ts';
import { faultText } from '../../operators/set-aside.ts';
import { describeEngine } from '../job/describe-engine.ts';
import {
  count,
  counted,
  countsInWords,
  duration,
  figure,
  figures,
  oneLine,
  printable,
  rate,
  size,
  worstLag,
} from './format.ts';
import { evaluationLine } from './evaluation-view.ts';
import { planLines } from './plan-view.ts';
import type { Style } from './style.ts';

/** Characters of an answer that a sample shows. */
const SAMPLE_LENGTH = 400;

/** An event as people read it, without a line end; a step with the figure of its window, which the step has not. */
export function eventLine(event: JobEvent, windowBitsPerByte: number | null, style: Style): string {
  switch (event.event) {
    case 'plan':
      return `The graph is not the one that the job had.\n${planLines(event.plan).trimEnd()}`;
    case 'ready':
      return readyLine(event, style);
    case 'step':
      return event.skipped ? skippedLine(event, style) : stepLine(event, windowBitsPerByte);
    case 'listening':
      return `listening on ${event.url}  OpenAI's API at ${event.url}/v1, model "${event.model}"`;
    case 'lag':
      return lagLine(event);
    case 'counts':
      return countsLine(event, style);
    case 'checkpoint':
      return `${checkpointLine(event)} at step ${count(event.step)}`;
    case 'generation':
      return sampleLine(event, style);
    case 'freshness':
      return freshnessLine(event, style);
    case 'weights':
      return weightsLine(event, style);
    case 'promotion':
      return promotionLine(event, style);
    case 'evaluation':
      return evaluationLine(event);
    case 'deadletter':
      return deadLetterLine(event, style);
    case 'deployment':
      return deploymentLine(event, style);
    case 'outage':
      return outageLine(event, style);
    case 'summary':
      return summaryLines(event);
  }
}

export function checkpointLine({
  id,
  reason,
  bytes,
  durationMs,
}: Omit<CheckpointEvent, 'event' | 'step' | 'path'>): string {
  return `checkpoint ${id} (${reason})  ${size(bytes)} in ${duration(durationMs)}`;
}

export function deadLetterLine(letter: Omit<DeadLetterEvent, 'event'>, style: Style): string {
  const { topic, partition, offset, code, message } = letter;
  return `${style.warn(`dead letter ${topic}/${partition}@${offset} ${code}`)}  ${printable(message)}`;
}

export function skippedLine(
  { step, loss, gradNorm, fault, attempt }: Pick<StepEvent, 'step' | 'loss' | 'gradNorm' | 'fault' | 'attempt'>,
  style: Style,
): string {
  const why = faultText(fault ?? 'non-finite-loss');
  const again = attempt === 2 ? ', for the second time' : '';
  return style.warn(
    `step ${count(step)}  skipped${again}: ${why} (loss ${figure(loss)}, gradient ${figure(gradNorm)})`,
  );
}

function readyLine({ job, graph, preset, parameters, dataDir, engine, step }: ReadyEvent, style: Style): string {
  const millions = (parameters / 1e6).toFixed(1);
  const from = step === 0 ? 'starts anew' : `goes on after step ${count(step)}`;
  return `${style.bold(`Job ${job}`)} ${from}: graph ${graph}, preset ${preset} (${millions}M parameters; ${describeEngine(engine)}), data in ${dataDir}`;
}

function stepLine(event: StepEvent, windowBitsPerByte: number | null): string {
  const { step, tokensPerSecond, bitsPerByteTotal, loss, lr, lag, replayed } = event;
  return [
    `step ${count(step)}`,
    `${count(tokensPerSecond)} tokens/s`,
    figures(windowBitsPerByte, bitsPerByteTotal),
    `loss ${figure(loss)}${replayed ? ' of the past' : ''}`,
    `lr ${rate(lr)}`,
    `lag ${count(lag)}`,
  ].join('  ');
}

function lagLine({ lag, partitions }: LagEvent): string {
  return `lag ${count(lag)}${worstLag(partitions)}`;
}

function countsLine({ counts }: CountsEvent, style: Style): string {
  return style.dim(`so far ${countsInWords(counts)}`);
}

/** The triangle stands where the model begins to speak. */
function sampleLine({ id, prompt, text, finish, weights }: GenerationEvent, style: Style): string {
  if (weights.id === '') return style.dim(`nobody says  ${oneLine(prompt ?? id)}: ${finish}`);
  const said = oneLine(text);
  const shown = said.length > SAMPLE_LENGTH ? `${said.slice(0, SAMPLE_LENGTH)}…` : said;
  return `${style.dim(`step ${count(weights.step)} says`)}  ${style.bold(oneLine(prompt ?? id))} ▸ ${shown}`;
}

function freshnessLine({ weights, trainedMs, spokenMs }: FreshnessEvent, style: Style): string {
  const since = `${duration(spokenMs)} after the newest text that it has read came in`;
  return style.dim(`step ${count(weights.step)} speaks, ${since} (trained on after ${duration(trainedMs)})`);
}

function weightsLine({ weights, reason }: WeightsEvent, style: Style): string {
  const what = `The weights of step ${count(weights.step)} (${weights.id}) do not speak; those before them go on`;
  return style.warn(`${what}: ${printable(reason)}`);
}

function promotionLine({ verdict, snapshot, champion, reasons }: PromotionEvent, style: Style): string {
  const speaks = champion === null ? 'nobody speaks' : `step ${count(champion.step)} speaks`;
  const why = reasons.length > 0 ? `: ${printable(reasons.join('; '))}` : '';
  const line = `step ${count(snapshot.step)} ${verdict}${why}; ${speaks}`;
  return verdict === 'demoted' ? style.warn(line) : line;
}

function deploymentLine(event: DeploymentEvent, style: Style): string {
  const { stream, outcome, reason, version = 0, pauseMs, watchMs = 0 } = event;
  const why = reason === undefined ? '' : `: ${printable(reason)}`;
  switch (outcome) {
    case 'started':
      return `stream ${stream} started; its first step takes longest`;
    case 'restarted':
      return style.warn(`stream ${stream} started again${why}`);
    case 'deployed':
      return deployedLine(version, pauseMs);
    case 'watching':
      return `version ${version} of the graph is watched for ${duration(watchMs)}`;
    case 'stable':
      return `version ${version} of the graph has stood the watch`;
    case 'rolled-back':
      return style.warn(`version ${version} of the graph was gone back from${why}`);
  }
}

function outageLine(event: OutageEvent, style: Style): string {
  if (event.state === 'over') return `Kafka answers again after ${duration(event.lastedMs)}; training goes on`;
  return style.warn(`${printable(event.reason)} Waiting for up to ${duration(event.patienceMs)}; nothing is lost.`);
}

function deployedLine(version: number, pauseMs: number | null = null): string {
  const pause = pauseMs === null ? 'training did not pause' : `training paused for ${duration(pauseMs)}`;
  return `version ${version} of the graph is live; ${pause}`;
}

const ENDINGS: Readonly<Record<SummaryEvent['reason'], string>> = {
  interrupted: 'Stopped',
  idle: 'Nothing more came: stopped',
  'max-steps': 'All steps done: stopped',
};

function summaryLines(event: SummaryEvent): string {
  const { reason, step, steps, tokens, seconds, tokensPerSecond, bitsPerByteTotal, bytesTotal, checkpoint } = event;
  const { lag, partitions } = event;
  const lines = [
    `${ENDINGS[reason]} at step ${count(step)}.`,
    `This run: ${counted(steps, 'step')}, ${counted(tokens, 'token')} in ${duration(seconds * 1000)} ` +
      `(${count(tokensPerSecond)} tokens/s).`,
  ];
  if (bitsPerByteTotal !== null) {
    lines.push(
      `Whole job: ${figure(bitsPerByteTotal)} bits per byte over ${size(bytesTotal)}, each predicted before it was learnt.`,
    );
  }
  const sources = Object.entries(event.sources ?? {});
  if (sources.length > 0) {
    const told = sources.map(([topic, each]) => `${topic} ${figure(each.bitsPerByteTotal)} (${size(each.bytesTotal)})`);
    lines.push(`By topic: ${told.join(', ')}.`);
  }
  if (lag > 0) {
    const where = partitions
      .filter((each) => each.lag > 0)
      .map((each) => `${each.topic}/${each.partition} ${count(each.lag)}`);
    lines.push(`Not trained yet: ${counted(lag, 'record')} (${where.join(', ')}).`);
  }
  for (const [uid, own] of Object.entries(event.counts ?? {})) {
    for (const [what, which] of Object.entries(own)) lines.push(countsOfOne(uid, what, which));
  }
  if (checkpoint !== null) lines.push(`Saved as checkpoint ${checkpoint}. The next millrace up goes on from there.`);
  return lines.join('\n');
}

/** `clean dropped 120: 80 wordCount, 40 language.`, or `clean kept 900 documents.`; what is most frequent first. */
function countsOfOne(uid: string, what: string, which: Readonly<Record<string, number>>): string {
  const entries = Object.entries(which).toSorted(([, one], [, other]) => other - one);
  const sum = entries.reduce((all, [, each]) => all + each, 0);
  const parts = entries.map(([name, each]) => `${count(each)} ${printable(name)}`);
  return `${uid} ${printable(what)} ${parts.length > 1 ? `${count(sum)}: ` : ''}${parts.join(', ')}.`;
}
