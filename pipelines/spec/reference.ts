import type { OperatorKind } from '../../operators/kind.ts';
import { settingsOf } from './describe.ts';
import { kinds } from './registry.ts';

/** Every operator that a graph may name, as Markdown made of the schemas that check graphs. */
export function operatorReference(): string {
  return kinds.map(section).join('\n\n');
}

function section(kind: OperatorKind): string {
  const rows = settingsOf(kind).map(({ name, preset, description }) => {
    const value = preset === null ? '' : `\`${typeof preset === 'string' ? preset : JSON.stringify(preset)}\``;
    return `| \`${name}\` | ${value} | ${description} |`;
  });
  const table = rows.length > 0 ? `\n\n| Setting | Default | |\n| --- | --- | --- |\n${rows.join('\n')}` : '';
  return `#### \`${kind.kind}\`: ${kind.input} → ${kind.output}\n\n${kind.summary}${table}`;
}
