/** A question with several answers, one of which is right. */
export interface ChoiceItem {
  readonly choices: readonly Choice[];
  /** Index of the right one. */
  readonly answer: number;
}

/** A text, and how it may go on. Of most items all choices have the same context. */
export interface Choice {
  readonly context: string;
  /** With the space that parts it from the context, where one does. */
  readonly continuation: string;
}

/** A context and its answers, parted by a space unless one of them brings one: as lm-evaluation-harness has it. */
export function choicesBehind(context: string, answers: readonly string[]): readonly Choice[] {
  return answers.map((answer) => ({
    context,
    continuation: /\s$/.test(context) || /^\s/.test(answer) ? answer : ` ${answer}`,
  }));
}
