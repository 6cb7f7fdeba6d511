import type { Graph, GraphHead, Step } from './graph.ts';
import type { Problem } from './lint.ts';

/** Dead letters keep the bytes of their record. */
export const DEAD_LETTER_TOPIC = 'deadletters';

/** Settings of topics that fight each other, or what the graph does with the topic. */
export function topicConflicts({ topics }: GraphHead, streams: Graph['streams']): Problem[] {
  const problems: Problem[] = [];
  const add = (path: Problem['path'], message: string): void => {
    problems.push({ code: 'settings-conflict', path, message });
  };
  for (const [name, { format, field }] of Object.entries(topics)) {
    if (field !== undefined && (format === undefined || format === 'text')) {
      add(['topics', name, 'field'], 'A field stands in JSON. Add format: json, or leave the field out.');
    }
    if (name === DEAD_LETTER_TOPIC && format !== undefined) {
      add(
        ['topics', name, 'format'],
        'Dead letters keep the bytes of their record, so they have no format. Leave it out.',
      );
    }
  }
  for (const [name, steps] of Object.entries(streams)) {
    for (const [index, step] of steps.entries()) {
      for (const topic of writtenBy(step)) {
        const path = ['streams', name, index, step.kind.kind];
        if (topics[topic]?.field !== undefined) {
          add(path, `Reports have fields of their own: leave out the field of topic "${topic}".`);
        }
        if (topics[topic]?.format === 'text' && !speaks(steps.slice(0, index))) {
          add(path, `These reports are no text: give topic "${topic}" format json, or none.`);
        }
      }
    }
  }
  return problems;
}

function writtenBy({ kind, config }: Step): readonly string[] {
  return kind.input === 'topics' ? [] : kind.topicsOf(config);
}

/** Whether what comes out of these steps is an answer's text. */
function speaks(steps: readonly Step[]): boolean {
  return steps.findLast(({ kind }) => kind.output !== 'any')?.kind.output === 'text-delta';
}
