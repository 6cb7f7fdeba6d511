import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { MillraceError } from '../../operators/errors.ts';
import type { Graph } from '../spec/graph.ts';
import { lintGraph } from '../spec/lint.ts';
import { describeFinding, parseGraph } from '../spec/parse-graph.ts';

/** `millrace lint`: finds what is wrong with graphs before anything runs. Exit code 1 when something was found. */
export function lintCommand(): Command {
  return new Command('lint')
    .description('Find what is wrong with a graph before it runs.')
    .argument('<files...>', 'graphs, as YAML or JSON')
    .option('--json', 'print findings as JSON, one a line')
    .addHelpText('after', '\nExamples:\n  millrace lint graph.yaml\n  millrace lint --json graphs/*.yaml\n')
    .action((files: string[], { json }: { json?: true }) => {
      for (const file of files) {
        const { findings } = lintGraph(readGraphFile(file), { directory: dirname(resolve(file)) });
        for (const finding of findings) {
          console.log(json ? JSON.stringify({ file, ...finding }) : describeFinding(file, finding));
        }
        if (findings.length > 0) process.exitCode = 1;
        else if (!json) console.log(`${file}: fine`);
      }
    });
}

/** A graph that nothing is wrong with. Throws `graph-invalid` with all that is. */
export function readGraph(file: string): Graph {
  return parseGraph(readGraphFile(file), file, { directory: dirname(resolve(file)) });
}

function readGraphFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MillraceError('bad-usage', `The graph ${file} can't be read.`, { cause });
  }
}
