import { describe, expect, it } from 'vitest';
import { contentWith, fieldPathSchema, textAt } from '../../operators/field-path.ts';

describe('a field path', () => {
  it.each([
    ['text', { text: 'a' }],
    ['message.text', { message: { text: 'a', id: 1 } }],
    ['choices.1.text', { choices: [{}, { text: 'a' }] }],
    ['__proto__.text', JSON.parse('{"__proto__": {"text": "a"}}')],
  ])('finds the text at %s', (path, content) => {
    expect(textAt(content, path)).toBe('a');
  });

  it.each([
    ['a.b', { a: { c: 1, d: 2 } }, 'At a there is: the fields c, d'],
    ['a', {}, 'In the value there is: the fields (none)'],
    ['a.b', { a: null }, 'At a there is: null'],
    ['a.b', { a: 'b' }, 'At a there is: a string'],
    ['a.2', { a: ['x'] }, 'At a there is: a list of 1'],
    ['a', { a: 3 }, 'What stands at a is a number'],
    ['a', { a: ['x'] }, 'What stands at a is a list of 1'],
    ['a', 'text', 'In the value there is: a string'],
    ['constructor.name', {}, 'In the value there is'],
    ['a', Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`f${at}`, at])), 'f7, …'],
  ])('says what is there when there is no text at %s (case %#)', (path, content, says) => {
    expect(() => textAt(content, path)).toThrow(expect.objectContaining({ code: 'field-missing' }));
    expect(() => textAt(content, path)).toThrow(says);
  });

  it.each(['text', 'a.b.c', 'list.0.text', '__proto__.x'])('finds again what was put at %s', (path) => {
    const json = JSON.stringify(contentWith(path, 'some text'));
    expect(textAt(JSON.parse(json), path)).toBe('some text');
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  it.each(['', '.', 'a.', '.a', 'a..b'])('is not %j', (path) => {
    expect(fieldPathSchema.safeParse(path).success).toBe(false);
  });
});
