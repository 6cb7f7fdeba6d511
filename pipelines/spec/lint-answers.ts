import { z } from 'zod';
import type { Graph } from './graph.ts';
import type { Problem } from './lint.ts';

const KIND = 'publishAnswers';
const atLeastOnceSchema = z.looseObject({ exactlyOnce: z.literal(false) });

/** What keeps a stream from answering each prompt once. */
export function answerProblems(streams: Graph['streams']): Problem[] {
  const problems: Problem[] = [];
  for (const [name, steps] of Object.entries(streams)) {
    const places = [...steps.entries()].filter(([, { kind }]) => kind.kind === KIND).map(([index]) => index);
    for (const index of places.slice(1)) {
      const message = `A prompt has one answer: "${KIND}" may stand in a stream once.`;
      problems.push({ code: 'answers-twice', path: ['streams', name, index], message });
    }
    if (places.length > 0 && !steps.some(({ kind }) => kind.kind === 'checkpoint')) {
      const message = `A stream with "${KIND}" must end in "checkpoint", or prompts would be lost that it has read.`;
      problems.push({ code: 'checkpoint-missing', path: ['streams', name], message });
    }
    const speaks = steps.findIndex(({ kind }) => kind.output === 'text-delta');
    for (const [index, { kind, config }] of steps.entries()) {
      if (speaks < 0 || index < speaks || kind.kind !== 'publish' || atLeastOnceSchema.safeParse(config).success) {
        continue;
      }
      const message =
        `Answers do not repeat themselves after a restart, which "publish" counts on. Use "${KIND}", which gives each ` +
        'answer once, or set exactlyOnce: false where parts of answers may come twice.';
      problems.push({ code: 'settings-conflict', path: ['streams', name, index, kind.kind], message });
    }
  }
  return problems;
}
