import type { LogRecord } from '../../operators/types.ts';
import type { Clock } from '../../operators/ports.ts';
import { AnswerView } from './answer-view.ts';
import { checkpointLine, deadLetterLine, skippedLine } from './event-lines.ts';
import { readLetter } from '../dead-letters/letters.ts';
import { count, figure, figures, printable, rate } from './format.ts';
import { alertLine, surpriseLine } from './surprise-view.ts';
import { jsonOf, readPublished, textOf } from '../topics/published.ts';
import type { PublishedStep } from '../topics/published.ts';
import type { Style } from './style.ts';

/** Turns records of a topic into what is to be written. */
export interface RecordView {
  show(records: readonly LogRecord[]): string | Uint8Array;
  close(): string;
}

/**
 * One JSON object a line. A value that is an object or a list in JSON is given as such, other UTF-8 as text, and bytes
 * that are no text as `{"base64": …}`.
 */
export const jsonView: RecordView = {
  show: (records) => records.map((record) => `${JSON.stringify(toJson(record))}\n`).join(''),
  close: () => '',
};

const LINE_END = Buffer.from('\n');

/** Values alone, byte for byte, a line end behind each; records without a value leave no trace. */
export const rawView: RecordView = {
  show: (records) => Buffer.concat(records.flatMap(({ value }) => (value ? [value, LINE_END] : []))),
  close: () => '',
};

function toJson({ topic, partition, offset, timestampMs, key, value, headers }: LogRecord): object {
  return {
    topic,
    partition,
    offset,
    timestamp: new Date(timestampMs).toISOString(),
    key: key && (textOf(key) ?? inBase64(key)),
    value: value && valueToJson(value),
    headers,
  };
}

export function valueToJson(value: Uint8Array): unknown {
  const text = textOf(value);
  return text === null ? inBase64(value) : (jsonOf(text) ?? text);
}

export function inBase64(bytes: Uint8Array): { readonly base64: string } {
  return { base64: Buffer.from(bytes).toString('base64') };
}

/**
 * For people: answers stream as text, reports take a line, dead letters say where they came from and why; anything else
 * is shown as it is.
 */
export function readableView(style: Style, clock: Clock): RecordView {
  const answers = new AnswerView(style, clock);
  const showOne = (record: LogRecord): string => {
    const letter = readLetter(record);
    if (letter) return `${deadLetterLine({ ...letter, ...letter.at }, style)}\n`;
    const report = readPublished(record.value);
    switch (report?.event) {
      case 'generation':
        return answers.push(report);
      case 'step':
        return `${report.skipped ? skippedLine(report, style) : stepLine(report)}\n`;
      case 'checkpoint':
        return `${checkpointLine(report)}\n`;
      case 'surprise':
        return `${surpriseLine(report, style)}\n`;
      case 'alert':
        return `${alertLine(report, style)}\n`;
      case undefined:
        return `${bareLine(record)}\n`;
    }
  };
  return {
    show: (records) => (records.length === 0 ? answers.idle() : records.map(showOne).join('')),
    close: () => answers.close(),
  };
}

function stepLine({ step, loss, bitsPerByte, totals, lr, gradNorm, tokens, replayed }: PublishedStep): string {
  const overall = totals.bytes > 0 ? totals.bits / totals.bytes : null;
  const now = replayed ? null : bitsPerByte;
  return (
    `step ${count(step)}  ${figures(now, overall)}  loss ${figure(loss)}${replayed ? ' of the past' : ''}  lr ${rate(lr)}  ` +
    `gradient ${figure(gradNorm)}  ${count(tokens)} tokens`
  );
}

function bareLine({ value }: LogRecord): string {
  if (value === null) return '(no value)';
  const text = textOf(value);
  return text === null ? `(${count(value.length)} bytes that are no text)` : printable(text).replace(/\n$/, '');
}
