import { z } from 'zod';
import type { OperatorKind } from '../../operators/kind.ts';
import { kinds } from './registry.ts';

/** Every operator that a graph may name, as Markdown made of the schemas that check graphs. */
export function operatorReference(): string {
  return kinds.map(section).join('\n\n');
}

function section({ kind, summary, input, output, config }: OperatorKind): string {
  const { properties = {} } = z.toJSONSchema(config, { io: 'input', unrepresentable: 'any' });
  const rows = Object.entries(properties).map(([name, schema]) => {
    const { description = '', default: preset } = typeof schema === 'object' ? schema : {};
    const value = preset === undefined ? '' : `\`${typeof preset === 'string' ? preset : JSON.stringify(preset)}\``;
    return `| \`${name}\` | ${value} | ${description} |`;
  });
  const table = rows.length > 0 ? `\n\n| Setting | Default | |\n| --- | --- | --- |\n${rows.join('\n')}` : '';
  return `#### \`${kind}\`: ${input} → ${output}\n\n${summary}${table}`;
}
