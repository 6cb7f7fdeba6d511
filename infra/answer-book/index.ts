export { openAnswerBook } from './answer-book.ts';
export type { AnswerBookOptions } from './answer-book.ts';
