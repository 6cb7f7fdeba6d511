import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../operators/errors.ts';
import { choiceFormats } from './choice-formats.ts';
import type { ChoiceFormat, ChoiceFormatName } from './choice-formats.ts';
import type { ChoiceItem } from './choice-item.ts';

/** Items that belong together. */
export interface ChoiceSet {
  readonly name: string;
  readonly items: readonly ChoiceItem[];
}

interface Line {
  readonly text: string;
  /** From 1. */
  readonly number: number;
}

const SHIPPED = fileURLToPath(new URL('cloze.jsonl', import.meta.url));

/** The cloze items that are named: `shipped`, `none`, or a file of them. Throws `config-invalid`. */
export function readCloze(name: string): ChoiceSet {
  if (name === 'none') return { name, items: [] };
  return { ...readChoices(name === 'shipped' ? SHIPPED : name, 'cloze'), name };
}

/**
 * The items of a file of JSON lines, all of one format: the one that is named, or with `auto` the one whose fields the first
 * line has. Throws `config-invalid`, which names the line that is no item.
 */
export function readChoices(path: string, wanted: ChoiceFormatName | 'auto'): ChoiceSet {
  const lines = linesOf(path);
  const [first] = lines;
  if (!first) throw new MillraceError('config-invalid', `There are no items in ${path}: it is empty.`);
  const format = wanted === 'auto' ? formatOf(first, path) : choiceFormats[wanted];
  return { name: path, items: lines.map((line) => itemOf(line, format, path)) };
}

function linesOf(path: string): readonly Line[] {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MillraceError('config-invalid', `The items of ${path} can't be read.`, { cause });
  }
  const lines = content.split('\n').map((text, index) => ({ text, number: index + 1 }));
  return lines.filter(({ text }) => text.trim() !== '');
}

function formatOf(line: Line, path: string): ChoiceFormat {
  const json = parsed(line, path);
  const found = Object.values(choiceFormats).find((format) => format.fits(json));
  if (found) return found;
  const known = Object.entries(choiceFormats).map(([name, { example }]) => `  ${name}: ${example}`);
  throw new MillraceError(
    'config-invalid',
    `Line ${line.number} of ${path} has the fields of no format. There are:\n${known.join('\n')}`,
  );
}

function itemOf(line: Line, format: ChoiceFormat, path: string): ChoiceItem {
  const json = parsed(line, path);
  try {
    return format.read(json);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError(
      'config-invalid',
      `Line ${line.number} of ${path} is no item such as ${format.example}: ${reason}`,
      { cause },
    );
  }
}

function parsed({ text, number }: Line, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MillraceError('config-invalid', `Line ${number} of ${path} is not JSON. Give each item a line.`, {
      cause,
    });
  }
}
