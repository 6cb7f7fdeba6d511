import { z } from 'zod';
import { MillraceError } from './errors.ts';

/** What a value holds once it is parsed: anything that JSON can say. */
export type Content = string | number | boolean | null | readonly unknown[] | Readonly<Record<string, unknown>>;

/**
 * Names a field within fields: names with dots between, such as `message.text`; a whole number counts the items of a list
 * from 0, as in `choices.0.text`. A name that holds a dot itself can't be said.
 */
export const fieldPathSchema: z.ZodType<string> = z
  .string()
  .regex(/^[^.]+(\.[^.]+)*$/, 'must be names with dots between, such as message.text');

/**
 * The text at a path. Throws `field-missing`, saying what is there instead, where there is none or something that is no
 * text.
 */
export function textAt(content: unknown, path: string): string {
  let found = content;
  const passed: string[] = [];
  for (const name of path.split('.')) {
    if (!isContainer(found) || !Object.hasOwn(found, name)) throw missing(path, passed, found);
    found = Reflect.get(found, name);
    passed.push(name);
  }
  if (typeof found === 'string') return found;
  throw new MillraceError('field-missing', `What stands at ${path} is ${nameOf(found)}, not text.`);
}

/** The smallest content that has this text at the path; a list can only be begun, at 0. */
export function contentWith(path: string, text: string): Content {
  return path.split('.').reduceRight<Content>((inner, name) => (name === '0' ? [inner] : { [name]: inner }), text);
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

const MOST_NAMES = 8;

function missing(path: string, passed: readonly string[], found: unknown): MillraceError {
  const place = passed.length > 0 ? `At ${passed.join('.')}` : 'In the value';
  const names = isContainer(found) && !Array.isArray(found) ? Object.keys(found) : null;
  const there = names
    ? `the fields ${names.slice(0, MOST_NAMES).join(', ') || '(none)'}${names.length > MOST_NAMES ? ', …' : ''}`
    : nameOf(found);
  return new MillraceError('field-missing', `There is no text at ${path}. ${place} there is: ${there}.`);
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
