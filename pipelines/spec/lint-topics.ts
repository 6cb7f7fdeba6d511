import type { Graph, GraphHead, Step } from './graph.ts';
import type { Problem } from './lint.ts';

/** Dead letters keep the bytes of their record. */
export const DEAD_LETTER_TOPIC = 'deadletters';
/** Topic that every job tells the outcome of its deployments in. */
export const DEPLOYMENTS_TOPIC = 'deployments';

/** Settings of topics that fight each other, or what the graph does with the topic. */
export function topicConflicts({ topics, schemaRegistry }: GraphHead, streams: Graph['streams']): Problem[] {
  const problems: Problem[] = [];
  const add = (path: Problem['path'], message: string): void => {
    problems.push({ code: 'settings-conflict', path, message });
  };
  if (schemaRegistry?.token && (schemaRegistry.username ?? schemaRegistry.password) !== undefined) {
    add(
      ['schemaRegistry', 'token'],
      'A registry takes a token, or a username and a password: leave out one or the other.',
    );
  }
  for (const [name, { format, field, schema }] of Object.entries(topics)) {
    if (field !== undefined && (format === undefined || format === 'text')) {
      add(
        ['topics', name, 'field'],
        'A field stands in JSON or Avro. Add format: json or avro, or leave the field out.',
      );
    }
    if (schema !== undefined && format !== 'avro') {
      add(['topics', name, 'schema'], 'Avro has schemas. Add format: avro, or leave the schema out.');
    }
    if (name === DEAD_LETTER_TOPIC && format !== undefined) {
      add(
        ['topics', name, 'format'],
        'Dead letters keep the bytes of their record, so they have no format. Leave it out.',
      );
    }
  }
  const { format, field, schema } = topics[DEPLOYMENTS_TOPIC] ?? {};
  if (format === 'text' || field !== undefined || (format === 'avro' && schema === undefined)) {
    add(
      ['topics', DEPLOYMENTS_TOPIC],
      'Outcomes of deployments are no text: format json, or format avro with schema millrace.Deployment.',
    );
  }
  for (const [name, steps] of Object.entries(streams)) {
    for (const [index, step] of steps.entries()) {
      for (const topic of writtenBy(step)) {
        const path = ['streams', name, index, step.kind.kind];
        if (topics[topic]?.field !== undefined) {
          add(path, `Reports have fields of their own: leave out the field of topic "${topic}".`);
        }
        if (topics[topic]?.format === 'avro' && topics[topic].schema === undefined) {
          add(path, `Give topic "${topic}" a schema to write by, such as schema: millrace.StepReport.`);
        }
        if (topics[topic]?.format === 'text' && !speaks(steps.slice(0, index))) {
          add(path, `These reports are no text: give topic "${topic}" format json or avro, or none.`);
        }
      }
    }
  }
  return problems;
}

/** What a topic is that can't hold records of our own making, such as `Decisions`. */
export function ownRecordsProblems(
  what: string,
  topics: GraphHead['topics'],
  topic: string,
  path: Problem['path'],
  ownSchema: string,
): Problem[] {
  const { format, field, schema } = topics[topic] ?? {};
  const messages = [
    ...(format === 'text' ? [`${what} are no text: give topic "${topic}" format json or avro, or none.`] : []),
    ...(field === undefined ? [] : [`${what} have fields of their own: leave out the field of topic "${topic}".`]),
    ...(format === 'avro' && schema === undefined
      ? [`Give topic "${topic}" a schema to write by, such as schema: ${ownSchema}.`]
      : []),
  ];
  return messages.map((message) => ({ code: 'settings-conflict', path, message }));
}

function writtenBy({ kind, config }: Step): readonly string[] {
  return kind.input === 'topics' ? [] : kind.topicsOf(config);
}

/** Whether what comes out of these steps is an answer's text. */
function speaks(steps: readonly Step[]): boolean {
  return steps.findLast(({ kind }) => kind.output !== 'any')?.kind.output === 'text-delta';
}
